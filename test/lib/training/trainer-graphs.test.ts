import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import type { SimulatedGraphs } from '../../native/support.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { temporaryFolder } from '../../support/voc.ts';

// All that a step does has to be an operator of LibTorch's for a simulated graph to see it: this file has a process of its own.
process.env.DINOV3_DET_DISABLE = 'depthwise,fused-mlp,packed-weights,pixel-table';
const { Detector } = await import('../../../lib/detector/detector.ts');
const { Trainer } = await import('../../../lib/training/trainer.ts');
const { expectClose, loadTestAddon } = await import('../../native/support.ts');
const { simulateGraphs } = await loadTestAddon();

afterAll(() => simulateGraphs());

/** Eight steps of four images and four of two; the rate is one that float32 has exactly, as a graph reads it. */
async function train(overlapEvaluation: boolean, graphs?: SimulatedGraphs) {
  simulateGraphs(graphs);
  const folder = await temporaryFolder();
  const dataset = await openSquares(folder, 10);
  const model = { classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 96, height: 64 } } as const;
  await using detector = await Detector.create(model);
  const warnings: string[] = [];
  const outDir = join(folder, 'run');
  const rates = { learningRate: 2 ** -10, milestones: [] };
  const data = { train: dataset, valid: dataset, outDir, overlapEvaluation };
  await new Trainer(detector, { ...data, ...rates, epochs: 4, batchSize: 4, fineTune: true, ema: 0.9 }).run({
    onWarning: (message) => warnings.push(message),
  });
  const lines = (await readFile(join(outDir, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  const steps = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'step');
  return { warnings, losses: steps.flatMap(({ boxLoss, classLoss }) => [boxLoss, classLoss]) };
}

const warning = (reason: string) => `Steps are not given to the GPU as one graph, which changes no result: ${reason}`;

describe('a run of steps that are graphs', () => {
  it.each<[string, SimulatedGraphs, boolean, string[]]>([
    ['replayed', {}, false, []],
    ['replayed, epochs evaluated meanwhile', {}, true, []],
    ['refused', { failure: 'end' }, false, [warning('no graph today (end)')]],
    [
      'wrong',
      { without: 'aten::_fused_adamw_' },
      true,
      [warning('a replayed step came to other numbers than a plain one')],
    ],
  ])('comes to the same, and says once what it does without: %s', async (_, graphs, overlap, warnings) => {
    const plain = await train(false);
    const found = await train(overlap, graphs);
    expect(found.warnings).toEqual(warnings);
    expect(plain).toMatchObject({ warnings: [], losses: { length: 2 * 4 * 3 } });
    expectClose(found.losses, plain.losses, 1e-6); // oneDNN's sums depend on where a tensor lies
  });
});
