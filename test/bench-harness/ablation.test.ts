import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { text } from '../../lib/base/kinds.ts';
import { option, resolve } from '../../lib/base/option.ts';
import { createTable } from '../../lib/detector/detector-options.ts';
import { presetConfig } from '../../lib/model/config.ts';
import { resolveRun } from '../../lib/training/resolve-options.ts';
import { recipes } from '../bench/ablation/recipes.ts';
import { formatResults } from '../bench/ablation/table.ts';
import type { RunResult } from '../bench/ablation/task.ts';
import { temporaryFolder, writeFiles } from '../support/voc.ts';

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
    '| recipe | seeds | AP@0.5:0.95 | AP@0.5 | cat AP@0.5:0.95, AP@0.5 | AP@0.5, side 0.05 - 0.1 | images | images/s | minutes |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    '| a | 3 | .200 ± .100 | .400 ± .200 | .200, .400 | .500 ± .000 | 400 | 20.0 | 2.0 |',
    '| b | 1 | .400 | .800 | .400, .800 | .500 | 400 | 10.0 | 1.0 |',
  ]);
  expect(formatResults([])).toBe('');
});

it.each(Object.entries(recipes))('can be run: %s', (_, { model, training }) => {
  const choices = resolve({ ...createTable, classes: option(text(), { help: '' }) }, model);
  const config = presetConfig(choices.preset ?? 'ssd', 'convnext_test', { width: 64, height: 64 }, choices);
  expect(resolveRun(training, { preset: config.preset, model: config }).epochs).toBe(20);
});

it('takes what was run before with the same settings, and with no others', async () => {
  const folder = await temporaryFolder();
  await writeFiles(join(folder, 'pets-convnext_test-64x64-1'), {
    'results.jsonl': `${JSON.stringify(result('best', 1, 0.25))}\n`,
  });
  const main = fileURLToPath(new URL('../bench/ablation/main.ts', import.meta.url));
  const ablation = (size: string) => {
    const settings = ['--config', join(folder, 'pets.yaml'), '--imgsz', size, '--epochs', '1', '--out-dir', folder];
    const args = ['--import', 'tsx', main, ...settings, '--recipe', 'best', '--seed', '1'];
    return promisify(execFile)(process.execPath, args);
  };
  expect((await ablation('64x64')).stdout).toContain('| best | 1 | .250 | .500 |');
  // These have to be trained, and there is no such data set.
  await expect(ablation('96x64')).rejects.toThrow('pets.yaml');
});
