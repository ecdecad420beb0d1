import { storedZip, zipWithDeflated } from '../support/stored-zip.ts';
import {
  call,
  dict,
  global,
  int,
  storage,
  tensor,
  text,
  torchRecords,
  torchSave,
  tuple,
} from '../support/torch-save.ts';
import type { HostileFile } from './hostile-file.ts';

/** Files that are one step from what torch.save writes: names and calls, depth and memory, storages and tensors, and the archive. */

export const eight = Buffer.alloc(8, 1);
export const weight = tensor({ elements: 2, shape: [2] });
/** A file that would be taken but for one more value. */
export const withValue = (value: string) => torchSave(dict({ weight, value }), { 0: eight });
/** A file with this tensor over a storage of two float32. */
const withTensor = (spec: Partial<Parameters<typeof tensor>[0]>) =>
  torchSave(dict({ weight: tensor({ elements: 2, shape: [2], ...spec }) }), { 0: eight });
const records = torchRecords(dict({ weight }), { 0: eight });
export const sound = storedZip(records);

/** A record's content replaced, or its central record patched. */
export const replaced = (name: string, content: Buffer) =>
  storedZip(records.map(([path, bytes]) => [path, path === `archive/${name}` ? content : bytes]));
const patched = (name: string, patch: (central: Buffer) => void) =>
  storedZip(records, (central, index) => {
    if (records[index]![0] === `archive/${name}`) patch(central);
  });
/** A record deflated, as zip programs do. */
const deflated = (name: string, content: Buffer, claimed?: number) =>
  zipWithDeflated(records, `archive/${name}`, content, claimed);
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
const touch = (target: string) => text(`touch '${target}'`);
const python = (target: string) => text(`__import__("os").system("touch '${target}'")`);
/** Each list holds the one before it twice: 2^100 values at 6 bytes a list, for the one who walks them. */
const memoBomb = `(]q\0${Array.from({ length: 100 }, (_, i) => `](h${String.fromCharCode(i)}h${String.fromCharCode(i)}eq${String.fromCharCode(i + 1)}`).join('')}t`;

function withEnd(patch: (end: Buffer) => void): Buffer {
  const bytes = Buffer.from(sound);
  patch(bytes.subarray(-22));
  return bytes;
}

export const hostilePth: readonly HostileFile[] = [
  // Names and calls
  ['os.system', (target) => withValue(call(global('os', 'system'), touch(target))), 'asks for os.system'],
  ['posix.system', (target) => withValue(call(global('posix', 'system'), touch(target))), 'posix.system'],
  [
    'os.system as the whole file',
    (target) => torchSave(call(global('os', 'system'), touch(target))),
    'asks for os.system',
  ],
  ['builtins.eval', (target) => withValue(call(global('builtins', 'eval'), python(target))), 'asks for builtins.eval'],
  ['__builtin__.eval', (target) => withValue(call(global('__builtin__', 'eval'), python(target))), '__builtin__.eval'],
  ['builtins.getattr', () => withValue(call(global('builtins', 'getattr'), weight, text('x'))), 'builtins.getattr'],
  [
    'subprocess.Popen',
    (target) => withValue(call(global('subprocess', 'Popen'), tuple(text('touch'), text(target)))),
    'subprocess.Popen',
  ],
  ['torch.load of another file', () => withValue(call(global('torch', 'load'), text('x'))), 'asks for torch.load'],
  ['an unknown class', () => withValue(`${global('my.model', 'Net')})\x81}b`), 'asks for my.model.Net'],
  ['a name that every object has', () => withValue(call(global('torch', 'constructor'))), 'asks for torch.constructor'],
  ['a name of two parts', () => withValue(global('torch._utils', '_rebuild_tensor_v2.__globals__')), '__globals__'],
  ['an endless name', () => withValue(`c${'x'.repeat(1e5)}\nf\n`), 'a name without an end'],
  ['io.open of a file to write', (target) => withValue(call(global('io', 'open'), text(target), text('w'))), 'io.open'],
  ['numpy.load of another file', () => withValue(call(global('numpy', 'load'), text('/etc/passwd'))), 'numpy.load'],
  ['a name as a value', () => withValue(global('torch', 'FloatStorage')), 'uses a name'],
  [
    'a storage that is called',
    () => withValue(call(global('torch', 'FloatStorage'), int(9))),
    'calls torch.FloatStorage',
  ],
  ['arguments for an OrderedDict', () => withValue(call(global('collections', 'OrderedDict'), ']')), 'in a way'],
  [
    'a call by STACK_GLOBAL',
    (target) => withValue(`${text('os')}${text('system')}\x93${touch(target)}\x85R`),
    'opcode 0x93',
  ],
  ['a call by INST', (target) => withValue(`(${touch(target)}ios\nsystem\n`), 'opcode 0x69'],
  ['a call by OBJ', () => withValue(`(${global('collections', 'OrderedDict')}o`), 'opcode 0x6f'],
  ['an extension code', () => withValue('\x82\x01'), 'opcode 0x82'],
  ['a textual persistent id', () => withValue('Pstorage\n'), 'opcode 0x50'],
  ['attributes set on a tensor', () => withValue(`${weight}${dict({ x: 'N' })}b`), 'gives a state to something'],
  // Depth and memory
  ['lists nested 100,000 deep', () => withValue(']'.repeat(1e5) + 'a'.repeat(1e5 - 1)), 'too deep'],
  ['tuples nested 1,000,000 deep', () => withValue(`)${'\x85'.repeat(1e6)}`), 'makes more than 50000 objects'],
  ['dictionaries beyond count', () => withValue(`]${'}a'.repeat(1e6)}`), 'makes more than 50000 objects'],
  ['a memo bomb', () => torchSave(memoBomb), 'holds no dictionary of tensors'],
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
  ['a tensor of 100 dimensions', () => withTensor({ shape: new Array(100).fill(1) }), 'rebuilds a tensor'],
  ['sizes whose product overflows', () => withTensor({ shape: [2 ** 40, 2 ** 40], strides: [0, 0] }), 'reaches beyond'],
  ['a tensor named by a number', () => torchSave(`}(${int(1)}${weight}u`, { 0: eight }), 'not text'],
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
  ['a packed pickle', () => deflated('data.pkl', records[0]![1]), 'compressed, which torch does not do'],
  ['a packed storage', () => deflated('data/0', eight), 'compressed, which torch does not do'],
  ['a zip bomb', () => deflated('data/0', Buffer.alloc(64 << 20)), 'compressed, which torch does not do'],
  ['a zip bomb that hides its size', () => deflated('data.pkl', Buffer.alloc(64 << 20), 100), 'compressed'],
  ['a record twice', () => storedZip([...records, records[2]!]), 'twice'],
  ['a record twice, in another case', () => storedZip([...records, ['archive/DATA.PKL', eight]]), 'twice'],
  ['records that overlap', overlapping, 'overlap'],
  ['two records in one place', () => patched('version', (central) => central.writeUInt32LE(0, 42)), 'disagrees'],
  ['a record beyond the file', () => patched('data/0', (central) => central.writeUInt32LE(1e6, 42)), 'no local header'],
  ['a record longer than the file', () => patched('data/0', (central) => central.writeUInt32LE(1e6, 20)), 'disagrees'],
  ['a record of two sizes', () => patched('data/0', (central) => central.writeUInt32LE(7, 20)), 'of two sizes'],
  ['an encrypted record', () => patched('data/0', (central) => central.writeUInt16LE(1, 8)), 'encrypted'],
  ['an absolute name', () => storedZip([...records, ['/etc/x', eight]]), 'torch does not write'],
  ['a name with a backslash', () => storedZip([...records, ['archive\\x', eight]]), 'torch does not write'],
  ['an empty name', () => storedZip([...records, ['', eight]]), 'torch does not write'],
  [
    'a record packed by an unknown method',
    () => patched('data/0', (central) => central.writeUInt16LE(12, 10)),
    'unknown method 12',
  ],
  [
    'a size in a zip64 field that is not there',
    () => patched('data/0', (central) => central.writeUInt32LE(0xffffffff, 20)),
    'lacks a zip64 field',
  ],
  ['several disks', () => withEnd((end) => end.writeUInt16LE(1, 4)), 'spans several disks'],
  [
    'fewer records than it says',
    () =>
      withEnd((end) => {
        end.writeUInt16LE(9, 8);
        end.writeUInt16LE(9, 10);
      }),
    'broken directory',
  ],
  ['a way out of the archive', () => storedZip([...records, ['archive/../../x', eight]]), 'torch does not write'],
  ['a record outside of its directory', () => storedZip([...records, ['other/x', eight]]), 'outside of its folder'],
  ['more records than a model has', () => storedZip([...records, ...manyRecords()]), 'above the limit of 20000'],
  ['a wrong CRC of the weights', () => flipped('archive/data/0', 14), 'CRC-32'],
  ['a wrong CRC of the pickle', () => flipped('archive/data.pkl', 40), 'CRC-32'],
  ['another byte order', () => replaced('byteorder', Buffer.from('big')), 'big-endian'],
  ['a byte order of megabytes', () => replaced('byteorder', Buffer.alloc(1 << 20)), 'above the limit of 16'],
  ['no pickle', () => storedZip(records.slice(1)), 'that torch did not write'],
  ['no bytes', () => Buffer.alloc(0), 'unknown format'],
  [
    'a plain pickle',
    (target) => Buffer.from(`\x80\x02${call(global('os', 'system'), touch(target))}.`, 'latin1'),
    'a plain pickle',
  ],
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
