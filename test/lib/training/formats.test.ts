import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openDataset } from '../../../lib/data/open-dataset.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import { classes, written } from '../../support/formats.ts';
import { temporaryFolder, writeFiles } from '../../support/voc.ts';

/** The losses of every step and the score of every epoch of a training of two epochs. */
async function train(format: string): Promise<number[]> {
  const folder = await temporaryFolder();
  await writeFiles(join(folder, 'data'), await written[format]!());
  const data = await openDataset(join(folder, 'data'), { classes });
  const model = { classes, backbone: 'convnext_test', imageSize: { width: 64, height: 64 }, seed: 7 } as const;
  await using detector = await Detector.create(model);
  const outDir = join(folder, 'run');
  const options = { epochs: 2, batchSize: 2, fineTune: true, learningRate: 1e-3, plots: false };
  await new Trainer(detector, { ...options, train: data, valid: data, outDir }).run();
  const lines = (await readFile(join(outDir, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  return lines
    .map((line) => JSON.parse(line))
    .flatMap(({ type, loss, trainLoss, map }) => (type === 'step' ? [loss] : [trainLoss, map]));
}

it('two epochs come to the same from every format of one data set', async () => {
  const expected = await train('voc');
  expect(expected).toHaveLength(8);
  for (const format of Object.keys(written)) {
    const found = await train(format);
    expect(found, format).toHaveLength(8);
    for (const [i, value] of found.entries()) expect(value, `${format}[${i}]`).toBeCloseTo(expected[i]!, 4);
  }
});
