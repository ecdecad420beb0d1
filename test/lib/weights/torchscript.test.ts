import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { vetTorchScript } from '../../../lib/weights/torchscript.ts';
import { readEntry, readZip } from '../../../lib/weights/zip.ts';
import { fixture } from '../../support/shared.ts';
import { storedZip } from '../../support/stored-zip.ts';

const archive = (name: string) => readFileSync(fixture(`torchscript/${name}.pt`));
const vet = (bytes: Buffer) => vetTorchScript(bytes, 'backbone.pt');

type Change = (content: Buffer) => Buffer;
/** `wrong_rank.pt` with some of its records changed, added (from nothing) or, where the change gives nothing, left out. */
async function changed(changes: Record<string, Change>): Promise<Buffer> {
  const records: [string, Buffer][] = [];
  const left = new Map(Object.entries(changes));
  for (const entry of await readZip(archive('wrong_rank'))) {
    const path = entry.name.slice('wrong_rank/'.length);
    const content = await readEntry(entry, 1 << 20);
    records.push([entry.name, left.get(path)?.(content) ?? content]);
    left.delete(path);
  }
  for (const [path, make] of left) records.push([`wrong_rank/${path}`, make(Buffer.alloc(0))]);
  return storedZip(records.filter(([, content]) => content !== GONE));
}
const GONE = Buffer.from('gone');
const replace =
  (from: string, to: string): Change =>
  (content) => {
    const text = content.toString('latin1');
    expect(text).toContain(from);
    return Buffer.from(text.replace(from, to), 'latin1');
  };

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

  it('refuses a file with __setstate__', () => expectRefusal(archive('set_state'), '__setstate__'));

  it('refuses a file that writes files when it runs', () =>
    expectRefusal(archive('writes_file'), 'the operator aten::save'));

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

  it('refuses a record outside of the directory of the archive', async () => {
    await expectRefusal(
      storedZip([
        ['m/data.pkl', GONE],
        ['n/constants.pkl', GONE],
      ]),
      'outside of its directory m/',
    );
  });

  it.each<[string, Record<string, Change>, string]>([
    [
      'code that the module does not use',
      { 'code/__torch__/more.py': () => Buffer.from('def f(x: Tensor) -> Tensor:\n  return torch.load(x)\n') },
      'aten::load',
    ],
    [
      'a call of another name',
      { 'data.pkl': replace('ctorch._utils\n_rebuild_tensor_v2\n', 'cposix\nsystem\n') },
      'posix.system',
    ],
    [
      'a class that its code does not define',
      { 'data.pkl': replace('c__torch__\nWrongRank\n', 'c__torch__\nOther\n') },
      '__torch__.Other',
    ],
    [
      'a native class',
      { 'data.pkl': replace('c__torch__\nWrongRank\n', 'c__torch__.torch.classes.rnn\nCellParamsBase\n') },
      'CellParamsBase',
    ],
    [
      'a storage shorter than it claims',
      { 'data/0': (content) => content.subarray(4) },
      'claims 1536 bytes in the storage "0", which has 1532',
    ],
    ['a storage longer than it claims', { 'data/0': (content) => Buffer.concat([content, content]) }, 'which has 3072'],
    ['no record for a storage', { 'data/0': () => GONE }, 'which has none'],
    // The bias is 8 floats with stride 1 from element 0.
    [
      'a tensor larger than its storage',
      { 'data.pkl': replace('K\x00(K\x08t(K\x01t', 'K\x00(K\x09t(K\x01t') },
      'beyond its storage',
    ],
    [
      'a tensor that begins too late',
      { 'data.pkl': replace('K\x00(K\x08t(K\x01t', 'K\x01(K\x08t(K\x01t') },
      'beyond its storage',
    ],
    ['a stride too long', { 'data.pkl': replace('K\x00(K\x08t(K\x01t', 'K\x00(K\x08t(K\x02t') }, 'beyond its storage'],
    [
      'a tensor of fewer strides than sizes',
      { 'data.pkl': replace('(K\x08t(K\x01t', '(K\x08t(t') },
      'rebuilds a tensor in a way',
    ],
    [
      'a negative stride',
      { 'data.pkl': replace('(K\x08t(K\x01t', '(K\x08t(J\xff\xff\xff\xfft') },
      'rebuilds a tensor in a way',
    ],
    [
      'another element type than its storage has bytes',
      { 'data.pkl': replace('ctorch\nFloatStorage\n', 'ctorch\nDoubleStorage\n') },
      'claims 3072 bytes',
    ],
    ['no module', { 'data.pkl': () => Buffer.from('\x80\x02}.', 'latin1') }, 'holds no module'],
    ['a pickle in other words', { 'data.pkl': () => Buffer.from('\x80\x04\x95', 'latin1') }, 'protocol 2'],
    [
      'constants that call names',
      { 'constants.pkl': () => Buffer.from('\x80\x02cbuiltins\neval\n)R.', 'latin1') },
      'builtins.eval',
    ],
    [
      'a list of other elements',
      { 'constants.pkl': () => Buffer.from('\x80\x02ctorch.jit._pickle\nbuild_intlist\n(](K\x01NetR.', 'latin1') },
      'build_intlist',
    ],
    [
      'a debug record that calls names',
      { 'code/__torch__.py.debug_pkl': () => Buffer.from('\x80\x02c__torch__\nWrongRank\n.', 'latin1') },
      '__torch__.WrongRank',
    ],
  ])('refuses %s', async (_, changes, words) => {
    await expectRefusal(await changed(changes), words);
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

  it('refuses objects that hold each other so often that walking them would not end', async () => {
    // Each object holds the one before it twice: 2^60 paths.
    const level = (i: number) =>
      `c__torch__\nWrongRank\n)\x81}(X\x01\0\0\0ah${String.fromCharCode(i)}X\x01\0\0\0bh${String.fromCharCode(i)}ubq${String.fromCharCode(i + 1)}`;
    const pickle = `\x80\x02c__torch__\nWrongRank\n)\x81}bq\x00${Array.from({ length: 60 }, (_, i) => level(i)).join('')}.`;
    const bytes = await changed({ 'data.pkl': () => Buffer.from(pickle, 'latin1') });
    await expectRefusal(bytes, 'nests too many objects');
  });
});
