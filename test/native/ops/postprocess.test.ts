import { describe, expect, it } from 'vitest';
import type { Size } from '../../../lib/boxes/box.ts';
import { defaultBoxScales } from '../../../lib/model/config.ts';
import type { PostprocessOptions } from '../../../lib/model/postprocess-options.ts';
import { golden } from '../../support/shared.ts';
import { type Detections, expectClose, loadTestAddon, matrix, pattern, tensor, unpack } from '../support.ts';

const addon = await loadTestAddon();
const heads: RandomHead[] = await golden('native/postprocess.json');
const { tiny_ssd: tiny } = await golden('ssd_golden.json');
const retinaNet = await golden('native/retinanet.json');
const defaults = { scoreThreshold: 0.01, nmsThreshold: 0.45, topkCandidates: 400, maxDetections: 200 };

interface RandomHead {
  name: string;
  /** How torchvision's NMS does it. */
  path: 'offset' | 'class by class';
  input: Size;
  grids: Size[];
  classes: number;
  scale: number;
  candidates: number[];
  options: PostprocessOptions;
  originals: Size[];
  /** Scores and boxes are packed float32. */
  detections: { labels: number[]; scores: string; boxes: string }[];
}

interface Expected {
  boxes: number[];
  scores: number[];
  labels: number[];
}

function expectDetections(actual: Detections, expected: Expected[]) {
  expect(actual.counts).toEqual(expected.map(({ scores }) => scores.length));
  expect(actual.labels).toEqual(expected.flatMap(({ labels }) => labels));
  const values = (pick: (image: Expected) => number[]) => expected.flatMap(pick);
  expectClose(
    actual.scores,
    values(({ scores }) => scores),
    1e-6,
  );
  expectClose(
    actual.boxes,
    values(({ boxes }) => boxes),
    1e-5,
  );
}

/** One image of 100x100 with these logits per default box; box codes of zero. */
function detect(logits: number[][], boxes: number[][], options = {}, original = { width: 100, height: 100 }) {
  return addon.postprocess(
    tensor(logits.flat(), [1, logits.length, logits[0]!.length]),
    tensor(new Float32Array(4 * boxes.length), [1, boxes.length, 4]),
    matrix(boxes),
    { width: 100, height: 100 },
    [original],
    { ...defaults, ...options },
  );
}

describe('postprocess', () => {
  it('equals the tiny SSD of the reference, boxes in pixels of the original images', () => {
    const [anchors, classes] = [tiny.anchors.length, tiny.num_classes];
    const detections = addon.postprocess(
      tensor(tiny.cls_logits.flat(2), [2, anchors, classes]),
      tensor(tiny.bbox_regression.flat(2), [2, anchors, 4]),
      matrix(tiny.anchors),
      { width: tiny.size[0], height: tiny.size[1] },
      tiny.eval.orig_sizes_hw.map(([height, width]: [number, number]) => ({ width, height })),
      {
        scoreThreshold: tiny.eval.score_thresh,
        nmsThreshold: tiny.eval.nms,
        topkCandidates: tiny.eval.topk,
        maxDetections: tiny.eval.max_det,
      },
    );
    expectDetections(
      detections,
      tiny.eval.detections.map((image: { boxes: number[][] }) => ({ ...image, boxes: image.boxes.flat() })),
    );
  });

  it.each<RandomHead>(heads)('equals torchvision, NMS $path: $name ($candidates candidates)', (head) => {
    const { name, input, grids, classes, scale, options, originals, detections } = head;
    const aspectRatios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]];
    const scales = defaultBoxScales(6, 0.15, 0.9);
    const anchors = addon.defaultBoxes({ aspectRatios, scales, steps: [], clip: true }, grids, input);
    const count = anchors.shape[0]!;
    const actual = addon.postprocess(
      pattern(`${name}.logits`, [2, count, classes], scale),
      pattern(`${name}.regression`, [2, count, 4], 4),
      anchors,
      input,
      originals,
      options,
    );
    expectDetections(
      actual,
      detections.map(({ labels, scores, boxes }) => ({
        labels,
        scores: [...unpack(scores)],
        boxes: [...unpack(boxes)],
      })),
    );
  });

  it('was compared on 20 heads, half of them beyond the 1,000 candidates at which torchvision changes its way', () => {
    const many = heads.map(({ candidates }) => candidates.map((count) => count > 1000));
    expect(many).toEqual(heads.map(({ path }) => Array(2).fill(path === 'class by class')));
    expect(many.filter(([first]) => first)).toHaveLength(10);
    expect(heads).toHaveLength(20);
  });

  it('takes scores above the threshold, not at it, and never the background', () => {
    const apart = [
      [0, 0, 10, 10],
      [50, 50, 60, 60],
    ];
    const logits = [
      [0, 0],
      [9, 0],
    ];
    const found = (scoreThreshold: number) => detect(logits, apart, { scoreThreshold });
    expect(found(0.5)).toMatchObject({ counts: [0], scores: [] });
    expect(found(0.4999)).toMatchObject({ counts: [1], scores: [0.5], labels: [1], boxes: [0, 0, 10, 10] });
  });

  it('clips to the input, then scales to the original', () => {
    const found = detect([[0, 5]], [[-20, 50, 120, 90]], {}, { width: 200, height: 50 });
    expect(found.boxes).toEqual([0, 25, 200, 45]);
  });

  it('keeps the best candidates of each class, and the best detections of the image', () => {
    const boxes = [0, 1, 2, 3].map((i) => [20 * i, 0, 20 * i + 10, 10]);
    const logits = [
      [0, 1, 3.5],
      [0, 2, 2.5],
      [0, 3, 1.5],
      [0, 4, 0.5],
    ];
    expect(detect(logits, boxes, { topkCandidates: 1 }).labels).toEqual([1, 2]);
    const best = detect(logits, boxes, { maxDetections: 3 });
    expect(best.labels).toEqual([1, 2, 1]);
    expect(best.boxes).toEqual([...boxes[3]!, ...boxes[0]!, ...boxes[2]!]);
  });

  it('scores each class by itself for logits of sigmoids, and the background not at all', () => {
    const found = addon.postprocess(
      tensor([9, 0, -1, 9, Math.log(3), -9], [1, 2, 3]),
      tensor(new Float32Array(8), [1, 2, 4]),
      matrix([
        [0, 0, 10, 10],
        [50, 50, 60, 60],
      ]),
      { width: 100, height: 100 },
      [{ width: 100, height: 100 }],
      { ...defaults, scoreThreshold: 0.2 },
      true,
    );
    expectDetections(found, [
      { boxes: [50, 50, 60, 60, 0, 0, 10, 10, 0, 0, 10, 10], scores: [0.75, 0.5, 1 / (1 + Math.E)], labels: [1, 1, 2] },
    ]);
  });

  it.each([
    ['plain', [0, 0, 10, 10], 1],
    ['diou', [0, 0, 10, 10, 0, 0, 10, 5], 2],
    ['weighted', [0, 0, 10, 20 / 3 + 5 / 3], 1],
  ] as const)('makes overlapping boxes one by NMS of the kind %s', (nms, boxes, count) => {
    // Scores 2/3 and 1/3; IoU .5, distance IoU .469 (diou-nms.test.ts).
    const logits = [
      [0, Math.log(2)],
      [Math.log(2), 0],
    ];
    const found = detect(
      logits,
      [
        [0, 0, 10, 10],
        [0, 0, 10, 5],
      ],
      { nms, nmsThreshold: 0.48 },
    );
    expect(found.counts).toEqual([count]);
    expectClose(found.boxes, boxes, 1e-6);
  });

  it.each<Omit<RandomHead, 'grids'>>(retinaNet.heads)("equals torchvision's RetinaNet: $name", (head) => {
    const { name, classes, options, originals, detections } = head;
    const input = retinaNet.anchors[0].image;
    const grids: Size[] = retinaNet.grids;
    const anchors = addon.anchors(retinaNet.anchors[0], grids, input);
    const count = anchors.shape[0]!;
    const layout = {
      grids: grids.map(({ width, height }) => ({ cells: width * height, boxesPerCell: 9 })),
      boxWeights: [1, 1] as const,
      topkPer: 'map' as const,
    };
    const actual = addon.postprocess(
      pattern(`${name}.logits`, [2, count, classes], 8, -3),
      pattern(`${name}.regression`, [2, count, 4], 1),
      anchors,
      input,
      originals,
      { ...options, ...layout },
      true,
    );
    expectDetections(
      actual,
      detections.map(({ labels, scores, boxes }) => ({
        labels,
        scores: [...unpack(scores)],
        boxes: [...unpack(boxes)],
      })),
    );
  });

  it('keeps the best candidates of each map, all classes together, when asked', () => {
    const boxes = [0, 1, 2, 3].map((i) => [20 * i, 0, 20 * i + 10, 10]);
    const logits = [
      [0, 1, 3.5],
      [0, 2, 2.5],
      [0, -5, -4],
      [0, -6, -7],
    ];
    const grids = [
      { cells: 1, boxesPerCell: 2 },
      { cells: 2, boxesPerCell: 1 },
    ];
    const found = detect(logits, boxes, { topkCandidates: 2, topkPer: 'map', grids, scoreThreshold: 0 });
    expect(found.labels).toEqual([2, 2, 2, 1]);
    expect(found.boxes).toEqual([...boxes[0]!, ...boxes[1]!, ...boxes[2]!, ...boxes[2]!]);
  });

  it('gives nothing for scores that are not numbers', () => {
    expect(detect([[Number.NaN, 1]], [[0, 0, 10, 10]]).counts).toEqual([0]);
  });
});

describe('candidates that are chosen as on a GPU', () => {
  const [images, classes, boxesPerCell] = [2, 5, 3];
  const grids = [36, 9, 1].map((cells) => ({ cells, boxesPerCell }));
  const count = 46 * boxesPerCell;
  const size = { width: 100, height: 80 };
  const corner = (name: string) => pattern(name, [count], 40, 40).data;
  const [x, y] = [corner('x'), corner('y')];
  const anchors = matrix(Array.from({ length: count }, (_, i) => [x[i]!, y[i]!, x[i]! + 9 + (i % 30), y[i]! + 20]));
  const regression = pattern('regression', [images, count, 4], 3);
  const random = pattern('logits', [images, count, classes], 8);
  const logits = (change: (value: number, i: number) => number) => ({ ...random, data: random.data.map(change) });

  const found = (given: typeof random, options: Partial<PostprocessOptions>, sigmoid: boolean, compact: boolean) =>
    addon.postprocess(
      given,
      regression,
      anchors,
      size,
      [size, { width: 31, height: 57 }],
      { ...defaults, grids, ...options },
      sigmoid,
      compact,
    );

  const inputs: [string, typeof random][] = [
    ['random scores', random],
    ['ties in all places', logits((value) => Math.round(value / 4))],
    ['all scores equal', logits(() => 0)],
    ['huge scores', logits((value) => 1e30 * value)],
    ['not a number here and there', logits((value, i) => (i % 7 === 0 ? Number.NaN : value))],
    ['infinity here and there', logits((value, i) => (i % 11 === 0 ? Number.POSITIVE_INFINITY : value))],
  ];
  const settings: Partial<PostprocessOptions>[] = (['class', 'map'] as const).flatMap((topkPer) =>
    (['plain', 'diou', 'weighted'] as const).flatMap((nms) => [
      { topkPer, nms },
      { topkPer, nms, topkCandidates: 7, maxDetections: 11, scoreThreshold: 0.2 },
      { topkPer, nms, topkCandidates: 1_000_000, scoreThreshold: 0 },
    ]),
  );

  it.each(inputs)('are those that are chosen on the host, bit for bit: %s', (_, given) => {
    let detections = 0;
    for (const options of settings) {
      for (const sigmoid of [false, true]) {
        const expected = found(given, options, sigmoid, false);
        expect(found(given, options, sigmoid, true), JSON.stringify(options)).toEqual(expected);
        detections += expected.scores.length;
      }
    }
    expect(detections).toBeGreaterThan(0);
  });

  it('are none where no score is above the threshold, and where none are asked for', () => {
    const nothing = { counts: [0, 0], boxes: [], scores: [], labels: [] };
    for (const options of [{ scoreThreshold: 1 }, { topkCandidates: 0 }, { maxDetections: 0 }]) {
      for (const topkPer of ['class', 'map'] as const) {
        expect(found(random, { ...options, topkPer }, false, true)).toEqual(nothing);
      }
    }
  });
});

describe('an image that does not fill the input', () => {
  const [sure, none] = [
    [0, 5],
    [5, 0],
  ];
  const at = (box: number[], original: Size & { area?: Size }, options = {}) =>
    detect([sure!], [box], options, original).boxes;

  // Worked by hand: 200 x 80 pixels lie in 100 x 40 of the input, so each pixel there is two of the image.
  const wide = { width: 200, height: 80, area: { width: 100, height: 40 } };

  it('has its boxes in its own pixels', () => {
    expect(at([10, 10, 30, 20], wide)).toEqual([20, 20, 60, 40]);
  });

  it('has those that reach into the grey clipped to the image', () => {
    expect(at([10, 30, 30, 90], wide)).toEqual([20, 60, 60, 80]);
  });

  it('has none in the grey', () => {
    expect(at([10, 40, 30, 90], wide)).toEqual([]);
    expect(at([60, 10, 90, 30], { width: 40, height: 100, area: { width: 40, height: 100 } })).toEqual([]);
  });

  it('has as many detections as are asked for, without those in the grey', () => {
    const boxes = [
      [10, 50, 30, 90],
      [10, 10, 30, 20],
      [50, 10, 70, 20],
    ];
    const found = detect([[0, 6], sure!, none!], boxes, { maxDetections: 1 }, wide);
    expect(found.boxes).toEqual([20, 20, 60, 40]);
  });

  it('has the same where it fills the input, with an area or without', () => {
    const whole = { width: 50, height: 300 };
    expect(at([90, 95, 110, 120], { ...whole, area: { width: 100, height: 100 } })).toEqual(
      at([90, 95, 110, 120], whole),
    );
  });
});

it('without NMS the best boxes are given as they are, overlapping or not', () => {
  const boxes = [
    [10, 10, 50, 50],
    [10, 10, 50, 51],
    [11, 10, 50, 50],
  ];
  const logits = [
    [0, 2],
    [0, 3],
    [0, 1],
  ];
  expect(detect(logits, boxes, { nms: 'none' }).boxes).toEqual([...boxes[1]!, ...boxes[0]!, ...boxes[2]!]);
  expect(detect(logits, boxes, { nms: 'none', maxDetections: 2 }).boxes).toEqual([...boxes[1]!, ...boxes[0]!]);
  expect(detect(logits, boxes).counts).toEqual([1]);
});
