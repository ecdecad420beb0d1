import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { Dataset, type ObjectInput } from '../../../lib/data/dataset.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { Evaluator } from '../../../lib/evaluation/evaluator.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import type { StepEvent } from '../../../lib/training/training-events.ts';
import { temporaryFolder } from '../../support/voc.ts';

const input = { width: 96, height: 64 };

interface Case {
  classes?: string[];
  /** Of each image. */
  objects: ObjectInput[][];
  image?: { width: number; height: number };
  model?: Partial<DetectorOptions>;
}

const object = (xmin: number, ymin: number, xmax: number, ymax: number, label = 'a') => ({
  label,
  box: { xmin, ymin, xmax, ymax },
});
const many = (count: number, label = (_: number) => 'a') =>
  Array.from({ length: count }, (_, i) => {
    const [x, y] = [(i * 7.31) % 80, (i * 13.7) % 50];
    return object(x, y, x + 1 + ((i * 3.7) % 15), y + 1 + ((i * 5.3) % 13), label(i));
  });
const thousand = Array.from({ length: 1000 }, (_, i) => `class ${i}`);

const cases: [string, Case][] = [
  ['images without objects beside one', { objects: [[object(10, 10, 50, 40)], [], []] }],
  ['objects smaller than a cell', { objects: [[object(9, 9, 12, 12), object(70, 50, 71.5, 51.5)], []] }],
  ['objects of a pixel', { objects: [[object(9, 9, 10, 10)], []] }],
  ['objects in the last corner, beyond every point', { objects: [[object(93, 61, 96, 64)], []] }],
  ['500 objects in an image', { objects: [many(500), [], many(3)] }],
  ['many objects in one place', { objects: [Array.from({ length: 100 }, () => object(10, 10, 50, 40)), []] }],
  ['a thousand classes', { classes: thousand, objects: [many(40, (i) => `class ${25 * i}`), []] }],
  ['an image of one row', { objects: [[object(0, 0, 50, 1)], []], image: { width: 200, height: 1 } }],
  [
    'an image of one column in a letterbox',
    { objects: [[object(0, 10, 1, 300)], []], image: { width: 1, height: 400 }, model: { resize: 'letterbox' } },
  ],
];

async function datasetOf({ classes = ['a'], objects, image = input }: Case): Promise<Dataset> {
  const folder = await temporaryFolder();
  const samples = await Promise.all(
    objects.map(async (each, i) => {
      const imagePath = join(folder, `${i}.png`);
      await sharp({ create: { ...image, channels: 3, background: { r: 40 * i, g: 90, b: 200 } } }).toFile(imagePath);
      return { imagePath, objects: each };
    }),
  );
  return Dataset.from(samples, { classes });
}

describe.each(['dense', 'ssd'] as const)('the preset %s trains and evaluates on', (preset) => {
  it.each(cases)(
    '%s',
    async (_, given) => {
      const data = await datasetOf(given);
      const options = {
        classes: data.classes,
        backbone: 'convnext_test',
        imageSize: input,
        preset,
        ...given.model,
      } as const;
      await using detector = await Detector.create({ ...options, ...(preset === 'dense' && { headWidth: 8 }) });
      const steps: StepEvent[] = [];
      const run = { train: data, valid: data, outDir: join(await temporaryFolder(), 'run'), batchSize: 3, epochs: 2 };
      await new Trainer(detector, run).run({ onStep: (step) => void steps.push(step) });
      expect(steps.length).toBeGreaterThan(0);
      for (const { loss, gradientNorm } of steps) {
        expect(Number.isFinite(loss) && Number.isFinite(gradientNorm)).toBe(true);
      }
      expect((await new Evaluator(data).evaluate(detector)).map).toBeGreaterThanOrEqual(0);
    },
    120_000,
  );
});

it.each([
  [{ width: 100, height: 64 }],
  [{ width: 96, height: 63 }],
  [{ width: 32, height: 64 }],
  [{ width: 4128, height: 64 }],
  [{ width: 96.5, height: 64 }],
])('a size of %j is refused before anything else', async (imageSize) => {
  const creating = Detector.create({ classes: ['a'], backbone: 'convnext_test', preset: 'dense', imageSize });
  await expect(creating).rejects.toThrow(/imageSize\.(width|height)/);
});
