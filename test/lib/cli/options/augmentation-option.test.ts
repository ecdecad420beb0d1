import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readAugmentation } from '../../../../lib/cli/options/augmentation-option.ts';
import { expectError, temporaryFolder, writeFiles } from '../../../support/voc.ts';

async function read(text: string | Buffer) {
  const folder = await temporaryFolder();
  await writeFiles(folder, { 'a.yaml': text });
  return readAugmentation(join(folder, 'a.yaml'));
}

it('takes the name of a profile', async () => {
  expect([await readAugmentation('ssd'), await readAugmentation('none')]).toEqual(['ssd', 'none']);
});

it('reads a file with transforms, or with the name of a profile', async () => {
  const text = 'augmentation:\n  zoomOut: { p: 1 }\n  mixup: {}\n';
  expect(await read(text)).toEqual({ zoomOut: { p: 1 }, mixup: {} });
  expect(await read('augmentation: ssd')).toBe('ssd');
});

it.each<[string | Buffer, string]>([
  ['', 'Expected object for the file but received null'],
  ['zoomOut: {}', 'Unknown key "zoomOut" in the file. Known keys: augmentation'],
  ['augmentation:', 'Expected object for augmentation but received null'],
  ['augmentation: { zoomOut: { p: yes } }', 'augmentation.zoomOut.p but received "yes" of type string'],
  ['augmentation: {', 'Flow map'],
  ['{}', 'Expected object for augmentation but received undefined'],
  [Buffer.from([0xff, 0xfe, 0xff]), 'encoded data was not valid'],
])('refuses %j, naming the file and the remedy', async (text, message) => {
  await expectError(read(text), 'CONFIG_INVALID', message);
  await expectError(read(text), 'CONFIG_INVALID', 'a.yaml"');
  await expectError(read(text), 'CONFIG_INVALID', 'Give none, ssd, or a YAML file with a section "augmentation"');
});

it('refuses a file that is far too large', async () => {
  await expectError(read('#'.repeat(70_000)), 'CONFIG_INVALID', '70000 bytes, more than the 65536 allowed');
});

it('refuses a file that is not there', async () => {
  await expectError(readAugmentation('sdd'), 'CONFIG_INVALID', '--augmentation "sdd"');
});
