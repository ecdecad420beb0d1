import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { vetTorchScript } from '../../../../lib/weights/torch/torchscript.ts';
import { readZip } from '../../../../lib/weights/torch/zip.ts';
import { fixture } from '../../../support/shared.ts';
import { storedZip } from '../../../support/stored-zip.ts';
import { type Change, withRecords } from '../../../support/torchscript-archive.ts';

const archive = (name: string) => readFileSync(fixture(`torchscript/${name}.pt`));
const vet = (bytes: Buffer) => vetTorchScript(bytes, 'backbone.pt');

const changed = (changes: Record<string, Change>) => withRecords(archive('wrong_rank'), changes);

async function expectRefusal(bytes: Buffer, words: string): Promise<void> {
  await expect(vet(bytes)).rejects.toMatchObject({ code: 'TORCHSCRIPT_REFUSED' });
  await expect(vet(bytes)).rejects.toThrow('Refused to load backbone.pt');
  await expect(vet(bytes)).rejects.toThrow(words);
}

describe('vetTorchScript', () => {
  it.each(['one_map', 'three_maps', 'three_maps_traced', 'wrong_rank'])(
    'takes %s.pt as torch wrote it',
    async (name) => {
      await expect(vet(archive(name))).resolves.toBeUndefined();
    },
  );

  it('takes an archive of stored entries', async () => {
    await expect(changed({}).then(vet)).resolves.toBeUndefined();
  });

  it('refuses a file that is cut short', async () => {
    const bytes = archive('three_maps');
    for (const length of [0, 3, 100, bytes.length >> 1, bytes.length - 1])
      await expectRefusal(bytes.subarray(0, length), 'archive');
  });

  it('refuses one flipped bit in any record', async () => {
    const bytes = archive('three_maps');
    const entries = (await readZip(bytes)).filter(({ size }) => size > 0);
    expect(entries.length).toBeGreaterThan(10);
    for (const entry of entries) {
      const flipped = Buffer.from(bytes);
      const at = entry.offset + (entry.packedSize >> 1);
      flipped[at]! ^= 1;
      await expect(vet(flipped), entry.name).rejects.toMatchObject({ code: 'TORCHSCRIPT_REFUSED' });
    }
  });

  it('tells what other files of torch are', async () => {
    await expectRefusal(
      Buffer.from('\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9 and so on, as torch.save once wrote', 'latin1'),
      'torch.save before 1.6',
    );
    const weights = storedZip([
      ['model/data.pkl', Buffer.from('\x80\x02}.', 'latin1')],
      ['model/version', Buffer.from('3\n')],
    ]);
    await expectRefusal(weights, 'weights only');
  });

  // Type-tagged lists and dictionaries, as torch writes the attributes of a module.
  const tagged = (value: string, type: string) =>
    `\x80\x02ctorch.jit._pickle\nrestore_type_tag\n(${value}X${String.fromCharCode(type.length)}\0\0\0${type}tR.`;
  it.each([
    [']X\x01\0\0\0aa', 'List[str]', true],
    [']K\x01a', 'List[str]', false],
    ['}X\x01\0\0\0aK\x01s', 'Dict[str, int]', true],
    ['}X\x01\0\0\0aNs', 'Dict[str, int]', false],
    ['}X\x01\0\0\0aNs', 'Dict[str, Optional[int]]', true],
    [']](K\x01K\x02ea', 'List[List[int]]', true],
    [']K\x01a', 'List[Any]', false],
    [']K\x01a', 'List[int', false],
    [']K\x01a', 'List[int]]', false],
  ])('checks the elements of %j against the type %s', async (value, type, sound) => {
    const bytes = await changed({ 'constants.pkl': () => Buffer.from(tagged(value, type), 'latin1') });
    if (sound) await expect(vet(bytes)).resolves.toBeUndefined();
    else await expectRefusal(bytes, 'a pickle in it');
  });
});
