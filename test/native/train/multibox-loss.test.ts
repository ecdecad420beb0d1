import { describe, expect, it } from 'vitest';

import type { BoxLossName, ClassLossName } from '../../../lib/model/loss-options.ts';
import { golden } from '../../support/shared.ts';
import { expectClose, loadTestAddon, matrix, padTargets, pattern, rowsOf, tensor } from '../support.ts';

const addon = await loadTestAddon();
const cases = await golden('native/multibox_loss.json');
const { whole } = await golden('native/losses.json');
const { tiny_ssd: tiny } = await golden('ssd_golden.json');
const none = { boxes: [], labels: [] };

interface LossCase extends WholeCase {
  anchors: number;
  positives: number;
}

interface WholeCase {
  name: string;
  classification: ClassLossName;
  box: BoxLossName;
  targets: { boxes: number[][]; labels: number[] }[];
  classes: number;
  boxLoss: number;
  classLoss: number;
  logitsGradient: number[];
  regressionGradient: number[];
}

const tinyOutput = {
  logits: tensor(tiny.cls_logits.flat(2), [2, tiny.anchors.length, tiny.num_classes]),
  regression: tensor(tiny.bbox_regression.flat(2), [2, tiny.anchors.length, 4]),
};

describe('multibox_loss', () => {
  it('equals the tiny SSD of the reference', () => {
    const { logits, regression } = tinyOutput;
    const loss = addon.multiboxLoss(logits, regression, padTargets(tiny.targets), matrix(tiny.anchors));
    expectClose([loss.boxLoss, loss.classLoss], [tiny.loss.bbox_regression, tiny.loss.classification], 1e-6);
    expect(loss.positives).toBe(tiny.matched_idxs.flat().filter((index: number) => index >= 0).length);
  });

  it('equals it with a second image without objects', () => {
    const { logits, regression } = tinyOutput;
    const loss = addon.multiboxLoss(logits, regression, padTargets([tiny.targets[0], none]), matrix(tiny.anchors));
    const expected = tiny.loss_second_image_empty;
    expectClose([loss.boxLoss, loss.classLoss], [expected.bbox_regression, expected.classification], 1e-6);
  });

  it.each<LossCase>(cases)('equals torchvision, gradients too: $name', (expected) => {
    const { name, targets, anchors, classes } = expected;
    const { logits, regression } =
      name === 'tiny_ssd'
        ? tinyOutput
        : {
            logits: pattern(`${name}.logits`, [targets.length, anchors, classes], 6),
            regression: pattern(`${name}.regression`, [targets.length, anchors, 4], 6),
          };
    const boxes = matrix(tiny.anchors.slice(0, anchors));
    const loss = addon.multiboxLoss(logits, regression, padTargets(targets), boxes);
    expect(loss.positives).toBe(expected.positives);
    expectClose([loss.boxLoss, loss.classLoss], [expected.boxLoss, expected.classLoss], 1e-6);
    expectClose(loss.logitsGradient.data, expected.logitsGradient, 1e-6);
    expectClose(loss.regressionGradient.data, expected.regressionGradient, 1e-6);
  });

  it.each<WholeCase>(whole)('equals torchvision: $name', (expected) => {
    const { name, classification, box, targets, classes } = expected;
    const anchors = tiny.anchors.length;
    const loss = addon.multiboxLoss(
      pattern(`${name}.logits`, [targets.length, anchors, classes], 6),
      pattern(`${name}.regression`, [targets.length, anchors, 4], 6),
      padTargets(targets),
      matrix(tiny.anchors),
      { classification, box },
    );
    expectClose([loss.boxLoss, loss.classLoss], [expected.boxLoss, expected.classLoss], 2e-6);
    expectClose(loss.logitsGradient.data, expected.logitsGradient, 1e-6);
    expectClose(loss.regressionGradient.data, expected.regressionGradient, 1e-6);
  });

  it('leaves the column of the background out of the focal loss', () => {
    const { logits, regression } = tinyOutput;
    const loss = addon.multiboxLoss(logits, regression, padTargets(tiny.targets), matrix(tiny.anchors), {
      classification: 'focal',
    });
    const touched = rowsOf(loss.logitsGradient).map((row) => row.map((value) => value !== 0));
    expect(touched.every(([background, ...rest]) => !background && rest.every(Boolean))).toBe(true);
  });

  it('takes negatives of images without objects, when asked: three each, over at least one for each image', () => {
    const boxes = Array.from({ length: 6 }, (_, i) => [20 * i, 0, 20 * i + 10, 10]);
    const logits = [1, 5, -5, 4, 3, -4].flatMap((x) => [0, x]);
    const entropy = (x: number) => Math.log1p(Math.exp(x));
    const of = (images: { boxes: number[][]; labels: number[] }[], backgroundNegatives: boolean) =>
      addon.multiboxLoss(
        tensor(Array(images.length).fill(logits).flat(), [images.length, 6, 2]),
        tensor(new Float32Array(images.length * 24), [images.length, 6, 4]),
        padTargets(images),
        matrix(boxes),
        { backgroundNegatives },
      ).classLoss;
    const object = { boxes: [boxes[0]!], labels: [1] };
    const hardest = entropy(5) + entropy(4) + entropy(3);
    expect(of([none, none], false)).toBe(0);
    expectClose([of([none, none], true)], [hardest], 1e-6);
    expectClose([of([object], true)], [entropy(-1) + hardest], 1e-6);
    expectClose([of([object, none], false)], [entropy(-1) + hardest], 1e-6);
    expectClose([of([object, none], true)], [(entropy(-1) + 2 * hardest) / 2], 1e-6);
  });

  it.each(['hard-negative', 'focal'] as const)(
    'has no class loss of what the matcher ignores: %s',
    (classification) => {
      // IoU 1, .45 (ignored by RetinaNet's matcher, background to SSD's) and 0.
      const boxes = [
        [0, 0, 20, 20],
        [0, 0, 20, 9],
        [40, 40, 60, 60],
      ];
      const logits = tensor([0, 1, 0, 2, 0, 3], [1, 3, 2]);
      const touched = (assigner: 'ssd' | 'retinanet') =>
        rowsOf(
          addon.multiboxLoss(
            logits,
            tensor(new Float32Array(12), [1, 3, 4]),
            padTargets([{ boxes: [boxes[0]!], labels: [1] }]),
            matrix(boxes),
            { classification, assigner },
          ).logitsGradient,
        ).map((row) => row[1] !== 0);
      expect(touched('ssd')).toEqual([true, true, true]);
      expect(touched('retinanet')).toEqual([true, false, true]);
    },
  );

  it('takes L1 of codes of other weights, by hand', () => {
    const loss = addon.multiboxLoss(
      tensor([0, 0], [1, 1, 2]),
      tensor([0.5, 0, 0, 1], [1, 1, 4]),
      padTargets([{ boxes: [[2, 0, 12, 10]], labels: [1] }]),
      matrix([[0, 0, 10, 10]]),
      { box: 'l1', boxWeights: [1, 1] },
    );
    expectClose([loss.boxLoss], [Math.abs(0.5 - 0.2) + 1], 1e-6);
    expectClose(loss.regressionGradient.data, [1, 0, 0, 1], 1e-6);
  });

  it('takes the positives of ATSS, when asked', () => {
    const boxes = [
      [0, 0, 10, 10],
      [10, 0, 20, 10],
      [20, 0, 30, 10],
    ];
    // IoU .43 with the second and .25 with the first: SSD forces the second, for ATSS both are too low (atss.test.ts).
    const targets = padTargets([{ boxes: [[6, 0, 16, 10]], labels: [1] }]);
    const positives = (assigner: 'ssd' | 'atss') =>
      addon.multiboxLoss(
        tensor(new Float32Array(6), [1, 3, 2]),
        tensor(new Float32Array(12), [1, 3, 4]),
        targets,
        matrix(boxes),
        {
          assigner,
          grids: [{ cells: 3, boxesPerCell: 1 }],
        },
      ).positives;
    expect([positives('ssd'), positives('atss')]).toEqual([1, 0]);
  });

  it('is what hand and paper say: one positive, three hardest of five negatives', () => {
    const boxes = Array.from({ length: 6 }, (_, i) => [20 * i, 0, 20 * i + 10, 10]);
    // Cross entropy of logits (0, x): background ln(1 + e^x), object ln(1 + e^-x).
    const logits = [1, 5, -5, 4, 3, -4];
    const entropy = (x: number) => Math.log1p(Math.exp(x));
    const loss = addon.multiboxLoss(
      tensor(
        logits.flatMap((x) => [0, x]),
        [1, 6, 2],
      ),
      tensor([0.5, 0, 3, 0, ...new Array(20).fill(9)], [1, 6, 4]),
      padTargets([{ boxes: [boxes[0]!], labels: [1] }]),
      matrix(boxes),
    );
    expect(loss.positives).toBe(1);
    expectClose([loss.boxLoss], [0.5 * 0.5 ** 2 + (3 - 0.5)], 1e-6); // smooth L1, beta 1
    expectClose([loss.classLoss], [entropy(-1) + entropy(5) + entropy(4) + entropy(3)], 1e-6);
    const touched = [...loss.logitsGradient.data].map((value) => value !== 0);
    expect(touched).toEqual([true, true, true, true, false, false, true, true, true, true, false, false]);
    expectClose(loss.regressionGradient.data, [0.5, 0, 1, 0, ...new Array(20).fill(0)], 1e-6);
  });

  it('is zero, with gradients of zero, for a batch without objects', () => {
    const { logits, regression } = tinyOutput;
    const loss = addon.multiboxLoss(logits, regression, padTargets([none, none]), matrix(tiny.anchors));
    expect(loss).toMatchObject({ boxLoss: 0, classLoss: 0, positives: 0 });
    expect(loss.logitsGradient.data.every((value) => value === 0)).toBe(true);
    expect(loss.regressionGradient.data.every((value) => value === 0)).toBe(true);
  });

  it.each(['smooth-l1', 'l1', 'giou', 'diou', 'ciou'] as const)(
    'does not depend on the codes of default boxes without an object, even if these are not finite: %s',
    (box) => {
      const boxes = matrix([
        [0, 0, 20, 20],
        [40, 40, 60, 60],
        [80, 80, 80, 80], // no extent at all
      ]);
      const of = (others: number) =>
        addon.multiboxLoss(
          tensor(new Float32Array(6), [1, 3, 2]),
          tensor([0.5, 0.25, 0, 1, ...new Array(8).fill(others)], [1, 3, 4]),
          padTargets([{ boxes: [[1, 2, 21, 20]], labels: [1] }]),
          boxes,
          { box },
        );
      const { boxLoss, regressionGradient } = of(0);
      expect(boxLoss).toBeGreaterThan(0);
      expect([...regressionGradient.data.subarray(4)]).toEqual(new Array(8).fill(0));
      for (const others of [3, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(of(others)).toMatchObject({ boxLoss, regressionGradient });
      }
    },
  );

  it('does not depend on what the padding holds', () => {
    const { logits, regression } = tinyOutput;
    const targets = padTargets([tiny.targets[0], none]);
    const before = addon.multiboxLoss(logits, regression, targets, matrix(tiny.anchors));
    targets.boxes.data.set([0, 0, 64, 64], targets.boxes.data.length - 4);
    targets.labels.data.set([3], targets.labels.data.length - 1);
    expect(addon.multiboxLoss(logits, regression, targets, matrix(tiny.anchors))).toEqual(before);
  });

  it('refuses a label that the model has no class for', () => {
    const { logits, regression } = tinyOutput;
    const targets = padTargets([{ boxes: [[0, 0, 30, 30]], labels: [tiny.num_classes] }, none]);
    expect(() => addon.multiboxLoss(logits, regression, targets, matrix(tiny.anchors))).toThrow(/out of bounds/);
  });
});

describe('class weights', () => {
  const { logits, regression } = tinyOutput;
  const loss = (classification: ClassLossName, ...weights: number[]) =>
    addon.multiboxLoss(logits, regression, padTargets(tiny.targets), matrix(tiny.anchors), {
      classification,
      classWeights: tensor([1, ...weights], [weights.length + 1]),
    });
  const ones = new Array<number>(tiny.num_classes - 1).fill(1);

  it.each(['hard-negative', 'focal'] as const)('weigh the positives of a class in the loss of classes: %s', (name) => {
    const plain = addon.multiboxLoss(logits, regression, padTargets(tiny.targets), matrix(tiny.anchors), {
      classification: name,
    });
    expect(loss(name, ...ones)).toEqual(plain);
    const label = tiny.targets.flatMap(({ labels }: { labels: number[] }) => labels)[0]!;
    const of = (weight: number) => loss(name, ...ones.map((one, i) => (i + 1 === label ? weight : one)));
    const [two, four] = [of(2), of(4)];
    expect(two.classLoss).toBeGreaterThan(plain.classLoss);
    expect(four.classLoss - two.classLoss).toBeCloseTo(2 * (two.classLoss - plain.classLoss), 4);
    expect(four.boxLoss).toBe(plain.boxLoss);
  });
});
