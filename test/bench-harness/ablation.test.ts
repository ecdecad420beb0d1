import { expect, it } from 'vitest';
import { presetConfig, withChoices } from '../../lib/config.ts';
import { resolveRun } from '../../lib/trainer-options.ts';
import { recipes } from '../bench/ablation/recipes.ts';
import { formatResults } from '../bench/ablation/table.ts';
import type { RunResult } from '../bench/ablation/task.ts';

const result = (recipe: string, seed: number, ap: number): RunResult => ({
  ...{ recipe, seed, ap, ap50: 2 * ap, images: 400, imagesPerSecond: 10 * seed, minutes: seed },
  classes: [{ name: 'cat', ap, ap50: 2 * ap }],
  sizes: [
    { name: 'side < 0.05', ap50: -1 },
    { name: 'side 0.05 - 0.1', ap50: 0.5 },
  ],
});

it('has a line for each recipe, with mean and standard deviation over its seeds, and no size without objects', () => {
  const table = formatResults([result('a', 1, 0.1), result('a', 2, 0.2), result('a', 3, 0.3), result('b', 1, 0.4)]);
  expect(table.split('\n')).toEqual([
    '| recipe | seeds | AP@.5:.95 | AP@.5 | cat AP@.5:.95, AP@.5 | AP@.5, side 0.05 - 0.1 | images | images/s | minutes |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    '| a | 3 | .200 ± .100 | .400 ± .200 | .200, .400 | .500 ± .000 | 400 | 20.0 | 2.0 |',
    '| b | 1 | .400 | .800 | .400, .800 | .500 | 400 | 10.0 | 1.0 |',
  ]);
  expect(formatResults([])).toBe('');
});

it.each(Object.entries(recipes))('can be run: %s', (_, { model, training }) => {
  const { preset = 'best', loss, assigner, nms, ...shape } = model;
  const config = presetConfig(preset, 'convnext_test', { width: 64, height: 64 }, shape);
  const choices = { ...(loss && { loss }), ...(assigner && { assigner }), ...(nms && { nms }) };
  expect(withChoices(config, choices).preset).toBe(preset);
  expect(resolveRun(training, { preset, pretrained: false }).epochs).toBe(20);
});
