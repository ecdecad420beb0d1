import { expect, it } from 'vitest';
import { readRunOptions } from '../../../../lib/cli/options/run-options.ts';
import { expectError, temporaryFolder, writeFiles } from '../../../support/voc.ts';

it('reads the options of a run, without those that were not set', async () => {
  const folder = await temporaryFolder();
  const training = { epochs: 3, milestones: [2], fineTune: false, clipGradNorm: null };
  await writeFiles(folder, { 'config.json': JSON.stringify({ model: {}, training }) });
  expect(await readRunOptions(folder)).toEqual({ epochs: 3, milestones: [2], fineTune: false });
});

it.each([['{'], ['{}'], ['null']])('refuses %s, naming the file', async (text) => {
  const folder = await temporaryFolder();
  await writeFiles(folder, { 'config.json': text });
  await expectError(readRunOptions(folder), 'CONFIG_INVALID', `${folder}/config.json`);
});
