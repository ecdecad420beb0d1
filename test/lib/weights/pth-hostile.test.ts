import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { DetectorError } from '../../../lib/errors.ts';
import { openWeights } from '../../../lib/weights/open-weights.ts';
import { fixture } from '../../support/shared.ts';
import { storedZip } from '../../support/stored-zip.ts';
import {
  call,
  dict,
  global,
  int,
  ordered,
  storage,
  tensor,
  text,
  torchRecords,
  torchSave,
  tuple,
} from '../../support/torch-save.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

const eight = Buffer.alloc(8, 1);
const weight = tensor({ elements: 2, shape: [2] });
/** A file that would be taken but for one more value. */
const withValue = (value: string) => torchSave(dict({ weight, value }), { 0: eight });
/** A file with this tensor over a storage of two float32. */
const withTensor = (spec: Partial<Parameters<typeof tensor>[0]>) =>
  torchSave(dict({ weight: tensor({ elements: 2, shape: [2], ...spec }) }), { 0: eight });
const records = torchRecords(dict({ weight }), { 0: eight });
const sound = storedZip(records);

/** A record's content replaced, or its central record patched. */
const replaced = (name: string, content: Buffer) =>
  storedZip(records.map(([path, bytes]) => [path, path === `archive/${name}` ? content : bytes]));
const patched = (name: string, patch: (central: Buffer) => void) =>
  storedZip(records, (central, index) => {
    if (records[index]![0] === `archive/${name}`) patch(central);
  });
/** A record deflated, as zip programs do. */
function deflated(name: string, content: Buffer, claimed = content.length): Buffer {
  const packed = deflateRawSync(content);
  const at = records.findIndex(([path]) => path === `archive/${name}`);
  const archive = storedZip(
    records.map(([path, bytes], index) => [path, index === at ? packed : bytes]),
    (central, index) => {
      if (index !== at) return;
      central.writeUInt16LE(8, 10);
      central.writeUInt32LE(crc32(content), 16);
      central.writeUInt32LE(claimed, 24);
    },
  );
  archive.writeUInt16LE(8, archive.indexOf(`archive/${name}`) - 30 + 8);
  return archive;
}
function flipped(word: string, distance: number): Buffer {
  const bytes = Buffer.from(sound);
  bytes[bytes.indexOf(word) + distance]! ^= 1;
  return bytes;
}
/** A second entry that lies inside the content of the first. */
function overlapping(): Buffer {
  const inner = storedZip([['archive/data/0', eight]]).subarray(0, 30 + 14 + 8);
  const [pickle] = records;
  return storedZip([['archive/shadow', inner], pickle!, ['archive/data/0', eight]], (central, index) => {
    if (index === 2) central.writeUInt32LE(30 + 14, 42);
  });
}
const system = (command: string) => call(global('os', 'system'), text(command));

const corpus: readonly (readonly [what: string, file: (folder: string) => Buffer, rule: string])[] = [
  // Names and calls
  ['os.system', (dir) => withValue(system(`touch ${dir}/pwned`)), 'asks for os.system'],
  ['posix.system', (dir) => withValue(call(global('posix', 'system'), text(`touch ${dir}/pwned`))), 'posix.system'],
  ['os.system as the whole file', (dir) => torchSave(system(`touch ${dir}/pwned`)), 'asks for os.system'],
  ['builtins.eval', () => withValue(call(global('builtins', 'eval'), text('1'))), 'asks for builtins.eval'],
  ['__builtin__.eval', () => withValue(call(global('__builtin__', 'eval'), text('1'))), '__builtin__.eval'],
  ['builtins.getattr', () => withValue(call(global('builtins', 'getattr'), weight, text('x'))), 'builtins.getattr'],
  ['subprocess.Popen', () => withValue(call(global('subprocess', 'Popen'), tuple(text('id')))), 'subprocess.Popen'],
  ['torch.load of another file', () => withValue(call(global('torch', 'load'), text('x'))), 'asks for torch.load'],
  ['an unknown class', () => withValue(`${global('my.model', 'Net')})\x81}b`), 'asks for my.model.Net'],
  ['a name that every object has', () => withValue(call(global('torch', 'constructor'))), 'asks for torch.constructor'],
  ['a name of two parts', () => withValue(global('torch._utils', '_rebuild_tensor_v2.__globals__')), '__globals__'],
  ['an endless name', () => withValue(`c${'x'.repeat(1e5)}\nf\n`), 'a name without an end'],
  ['a name as a value', () => withValue(global('torch', 'FloatStorage')), 'uses a name'],
  [
    'a storage that is called',
    () => withValue(call(global('torch', 'FloatStorage'), int(9))),
    'calls torch.FloatStorage',
  ],
  ['arguments for an OrderedDict', () => withValue(call(global('collections', 'OrderedDict'), ']')), 'in a way'],
  ['a call by STACK_GLOBAL', () => withValue(`${text('os')}${text('system')}\x93${text('id')}\x85R`), 'opcode 0x93'],
  ['a call by INST', () => withValue(`(${text('id')}ios\nsystem\n`), 'opcode 0x69'],
  ['a call by OBJ', () => withValue(`(${global('collections', 'OrderedDict')}o`), 'opcode 0x6f'],
  ['an extension code', () => withValue('\x82\x01'), 'opcode 0x82'],
  ['a textual persistent id', () => withValue('Pstorage\n'), 'opcode 0x50'],
  ['attributes set on a tensor', () => withValue(`${weight}${dict({ x: 'N' })}b`), 'gives a state to something'],
  // Depth and memory
  ['lists nested 100,000 deep', () => withValue(']'.repeat(1e5) + 'a'.repeat(1e5 - 1)), 'too deep'],
  ['tuples nested 1,000,000 deep', () => withValue(`)${'\x85'.repeat(1e6)}`), 'makes more than 50000 objects'],
  ['dictionaries beyond count', () => withValue(`]${'}a'.repeat(1e6)}`), 'makes more than 50000 objects'],
  ['a memory of two billion places', () => withValue('Nr\xff\xff\xff\x7f'), 'memory out of order'],
  ['a text of two gigabytes', () => withValue('X\xff\xff\xff\x7f'), 'cut short'],
  ['an integer of 255 bytes', () => withValue(`\x8a\xff${'\x01'.repeat(255)}`), 'more than 64 bits'],
  ['an endless pickle', () => torchSave(']'.repeat(5 << 20)), 'above the limit of'],
  ['a second pickle behind the first', () => torchSave(`${dict({ weight })}.N`, { 0: eight }), 'goes on after its end'],
  ['no end', () => replaced('data.pkl', records[0]![1].subarray(0, -1)), 'cut short'],
  ['another protocol', () => replaced('data.pkl', Buffer.from('\x80\x04N.', 'latin1')), 'protocol 2'],
  // Storages and tensors
  ['a storage larger than its record', () => withTensor({ elements: 3 }), 'claims 12 bytes'],
  ['a storage smaller than its record', () => withTensor({ elements: 1, shape: [1] }), 'claims 4 bytes'],
  ['a storage of another type', () => withTensor({ type: 'DoubleStorage' }), 'claims 16 bytes'],
  ['a storage of 2^53 - 1 elements', () => withTensor({ elements: Number.MAX_SAFE_INTEGER }), 'claims'],
  ['a storage of -1 elements', () => withTensor({ elements: -1 }), 'names a storage in a way'],
  ['a storage that is not there', () => withTensor({ key: '1' }), 'which has none'],
  ['a storage up the tree', () => withTensor({ key: '../version' }), 'which has none'],
  ['a storage on no device', () => withTensor({ location: '/etc/passwd' }), 'names a storage in a way'],
  [
    'a storage by another tag',
    () => withValue(`${storage({ elements: 2 }).replace('storage', 'storagf')}`),
    'names a storage',
  ],
  ['a tensor beyond its storage', () => withTensor({ shape: [3] }), 'reaches beyond its storage'],
  ['a tensor that begins too late', () => withTensor({ offset: 1 }), 'reaches beyond its storage'],
  ['a tensor that begins before its storage', () => withTensor({ offset: -1 }), 'rebuilds a tensor'],
  ['strides that reach beyond', () => withTensor({ strides: [2] }), 'reaches beyond its storage'],
  ['a stride of 0, an element many times', () => withTensor({ shape: [1000], strides: [0] }), 'not contiguous'],
  ['a stride of -1', () => withTensor({ offset: 1, strides: [-1] }), 'rebuilds a tensor'],
  ['fewer strides than sizes', () => withTensor({ shape: [1, 2], strides: [1] }), 'rebuilds a tensor'],
  ['sizes whose product overflows', () => withTensor({ shape: [2 ** 40, 2 ** 40], strides: [0, 0] }), 'reaches beyond'],
  ['a tensor named by a number', () => torchSave(`}(${int(1)}${weight}u`, { 0: eight }), 'no text'],
  [
    'a tensor rebuilt from text',
    () => withValue(call(global('torch._utils', '_rebuild_tensor_v2'), text('x'))),
    'rebuilds',
  ],
  ['complex weights', () => withTensor({ type: 'ComplexFloatStorage', elements: 1, shape: [1] }), 'complex'],
  ['no tensor', () => torchSave(dict({ epoch: int(1) })), 'holds no dictionary of tensors'],
  ['a list', () => torchSave(`](${weight}e`, { 0: eight }), 'holds no dictionary of tensors'],
  ['a dictionary in itself', () => torchSave(`}q\0${text('model')}h\0s`), 'holds no dictionary of tensors'],
  // The archive
  ['a packed pickle', () => deflated('data.pkl', records[0]![1]), 'packed, which torch does not do'],
  ['a packed storage', () => deflated('data/0', eight), 'packed, which torch does not do'],
  ['a zip bomb', () => deflated('data/0', Buffer.alloc(64 << 20)), 'packed, which torch does not do'],
  ['a zip bomb that hides its size', () => deflated('data.pkl', Buffer.alloc(64 << 20), 100), 'packed'],
  ['a record twice', () => storedZip([...records, records[2]!]), 'twice'],
  ['a record twice, in another case', () => storedZip([...records, ['archive/DATA.PKL', eight]]), 'twice'],
  ['records that overlap', overlapping, 'overlap'],
  ['two records in one place', () => patched('version', (central) => central.writeUInt32LE(0, 42)), 'disagrees'],
  ['a record beyond the file', () => patched('data/0', (central) => central.writeUInt32LE(1e6, 42)), 'no local header'],
  ['a record longer than the file', () => patched('data/0', (central) => central.writeUInt32LE(1e6, 20)), 'disagrees'],
  ['a record of two sizes', () => patched('data/0', (central) => central.writeUInt32LE(7, 20)), 'of two sizes'],
  ['an encrypted record', () => patched('data/0', (central) => central.writeUInt16LE(1, 8)), 'encrypted'],
  ['a way out of the archive', () => storedZip([...records, ['archive/../../x', eight]]), 'torch does not write'],
  ['a record outside of its directory', () => storedZip([...records, ['other/x', eight]]), 'outside of its directory'],
  ['more records than a model has', () => storedZip([...records, ...manyRecords()]), 'above the limit of 20000'],
  ['a wrong CRC of the weights', () => flipped('archive/data/0', 14), 'CRC-32'],
  ['a wrong CRC of the pickle', () => flipped('archive/data.pkl', 40), 'CRC-32'],
  ['another byte order', () => replaced('byteorder', Buffer.from('big')), 'big-endian'],
  ['a byte order of megabytes', () => replaced('byteorder', Buffer.alloc(1 << 20)), 'above the limit of 16'],
  ['no pickle', () => storedZip(records.slice(1)), 'that torch did not write'],
  ['a tail', () => Buffer.concat([sound, Buffer.from('tail')]), 'has a tail'],
  ['half a download', () => sound.subarray(0, sound.length >> 1), 'cut short'],
  [
    'an end record alone',
    () => Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), sound.subarray(-22)]),
    'not where it says',
  ],
];

function* manyRecords(): Generator<[string, Buffer]> {
  for (let i = 0; i < 65_530; i++) yield [`archive/x${i}`, Buffer.alloc(0)];
}

async function saved(bytes: Buffer): Promise<string> {
  const path = join(await temporaryFolder(), 'hostile.pth');
  await writeFile(path, bytes);
  return path;
}

describe('a hostile .pth file', () => {
  it('is one step from a sound one', async () => {
    await expect(saved(sound).then(openWeights)).resolves.toMatchObject({ format: 'torch', unneeded: ['weight'] });
    await expect(saved(withValue('N')).then(openWeights)).resolves.toMatchObject({ unneeded: ['weight'] });
  });

  it.each(corpus)('is refused: %s', async (_, file, rule) => {
    const folder = await temporaryFolder();
    const path = join(folder, 'hostile.pth');
    await writeFile(path, file(folder));
    await expectError(openWeights(path), 'WEIGHTS_INVALID', path, rule);
    expect(await readdir(folder)).toEqual(['hostile.pth']);
  });

  it.each([
    ['of before torch 1.6', 'legacy.pth', '_use_new_zipfile_serialization=True'],
    ['that is a plain pickle', 'plain.pkl', 'plain pickle'],
    ['with a whole module', 'module.pth', 'torch.nn.modules.normalization.LayerNorm'],
    ['with a transposed tensor', 'transposed.pth', 'contiguous()'],
  ])('%s is refused with advice', async (_, name, words) => {
    await expectError(openWeights(fixture(`pth/${name}`)), 'WEIGHTS_INVALID', name, words);
  });

  it('fails in no other way than DetectorError, wherever it is cut', async () => {
    const path = await saved(sound);
    for (let length = 0; length < sound.length; length += 3) {
      await writeFile(path, sound.subarray(0, length));
      await expect(openWeights(path), `${length} bytes`).rejects.toMatchObject({ code: 'WEIGHTS_INVALID' });
    }
  });

  it('fails in no other way than DetectorError, whatever byte is wrong', async () => {
    // CRC-32 is put right again, so that the readers behind it are reached.
    const pickle = torchRecords(dict({ model: ordered({ weight }) }), { 0: eight })[0]![1];
    const path = await saved(Buffer.alloc(0));
    for (let at = 0; at < pickle.length; at++) {
      for (const change of [0xff, 0x01]) {
        const broken = Buffer.from(pickle);
        broken[at]! ^= change;
        await writeFile(path, replaced('data.pkl', broken));
        const error = await openWeights(path).catch((reason) => reason);
        if (error instanceof Error) expect(error, `byte ${at}`).toBeInstanceOf(DetectorError);
      }
    }
  });
});
