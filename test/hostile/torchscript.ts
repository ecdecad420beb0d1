import { readFile } from 'node:fs/promises';
import { fixture } from '../support/shared.ts';
import { storedZip, zipWithDeflated } from '../support/stored-zip.ts';
import { global, text } from '../support/torch-save.ts';
import { type Change, recordsOf, withCode, withRecords } from '../support/torchscript-archive.ts';
import type { HostileFile } from './hostile-file.ts';

/** Programs that do what a model need not do, and archives of programs that lie about what they hold. */

const archive = (name: string) => readFile(fixture(`torchscript/${name}.pt`));
const changed = async (changes: Record<string, Change>) => withRecords(await archive('wrong_rank'), changes);
const replace =
  (from: string, to: string): Change =>
  (content) => {
    const changed = content.toString('latin1').replace(from, to);
    if (changed === content.toString('latin1')) throw new Error(`The record does not hold ${JSON.stringify(from)}`);
    return Buffer.from(changed, 'latin1');
  };
const pickle = (body: string) => () => Buffer.from(`\x80\x02${body}.`, 'latin1');
const quoted = (path: string) => JSON.stringify(path);
const method = (name: string, line: string) =>
  `  def ${name}(self: __torch__.WrongRank, x: Tensor) -> None:\n    ${line}\n    return None\n`;
/** A record of code that is deflated, and may claim another size. */
async function packedCode(code: string, claimed?: number): Promise<Buffer> {
  const name = 'wrong_rank/code/__torch__/more.py';
  const records = await recordsOf(await archive('wrong_rank'));
  return zipWithDeflated([...records, [name, Buffer.alloc(0)]], name, Buffer.from(code), claimed);
}
async function cut(bytes: (whole: Buffer) => Buffer): Promise<Buffer> {
  return bytes(Buffer.from(await archive('one_map')));
}
async function patched(path: string, patch: (central: Buffer) => void): Promise<Buffer> {
  const records = await recordsOf(await archive('wrong_rank'));
  return storedZip(records, (central, index) => {
    if (records[index]![0] === `wrong_rank/${path}`) patch(central);
  });
}
const more = async (name: string, content = Buffer.alloc(0)) =>
  storedZip([...(await recordsOf(await archive('wrong_rank'))), [name, content]]);

/** A list tagged as `type`, which holds the list before it so many times. */
const tagged = (value: string, type: string) =>
  `${global('torch.jit._pickle', 'restore_type_tag')}(${value}${text(type)}tR`;
/** Each object holds the one before it twice: 2^60 paths. */
const objectBomb = `c__torch__\nWrongRank\n)\x81}bq\x00${Array.from({ length: 60 }, (_, i) => {
  const [before, own] = [String.fromCharCode(i), String.fromCharCode(i + 1)];
  return `c__torch__\nWrongRank\n)\x81}(${text('a')}h${before}${text('b')}h${before}ubq${own}`;
}).join('')}`;

const code: readonly HostileFile[] = [
  // Files
  ['a file is written', (target) => withCode(`_9 = torch.save(x, ${quoted(target)})`), 'the operator aten::save'],
  ['a file is written, as torch could write the code', () => archive('writes_file'), 'the operator aten::save'],
  [
    'a file is written by the longer name',
    (target) => withCode(`_9 = ops.aten.save(x, ${quoted(target)})`),
    'aten::save',
  ],
  [
    'a file is written by another name',
    (target) => withCode(`f = torch.save\n_9 = f(x, ${quoted(target)})`),
    'aten::save',
  ],
  [
    'a file is written by getattr',
    (target) => withCode(`_9 = getattr(torch, "save")(x, ${quoted(target)})`),
    '".save"',
  ],
  [
    'a file is written in a method',
    (target) => withCode('pass', method('other', `_9 = torch.save(x, ${quoted(target)})`)),
    'aten::save',
  ],
  [
    'a file is written at load',
    (target) => withCode('pass', method('__setstate__', `_9 = torch.save(x, ${quoted(target)})`)),
    '__setstate__',
  ],
  ['a file is read', () => withCode('y = torch.from_file("/etc/passwd", False, 100)'), 'the operator aten::from_file'],
  [
    'a file is mapped and changed',
    (target) => withCode(`y = torch.from_file(${quoted(target)}, True, 100)\nz = torch.fill_(y, 1)`),
    'the operator aten::from_file',
  ],
  ['a file is read by the longer name', () => withCode('y = ops.aten.from_file("/etc/passwd")'), 'aten::from_file'],
  ['a file is read by getattr', () => withCode('y = getattr(torch, "from_file")("/etc/passwd")'), '".from_file"'],
  ['a file is read as a method', () => withCode('y = (x).from_file("/etc/passwd")'), '".from_file"'],
  [
    'a tensor takes the storage of a file',
    () => withCode('y = torch.set_(x, torch.from_file("/etc/passwd"))'),
    'aten::set_',
  ],
  ['a pickle is loaded', () => withCode('y = torch.load("/etc/passwd")'), 'the operator aten::load'],
  [
    'a file is read by a library',
    () => withCode('y = ops.image.read_file("/etc/passwd")'),
    'the operator image::read_file',
  ],
  [
    'a library is loaded',
    () => withCode('y = __torch__.torch.classes.aoti.AOTIModelRunnerCpu("/tmp/a.so")'),
    'the native class',
  ],
  ['a file is read by Python', () => withCode('y = open("/etc/passwd")'), '"open"'],
  // Programs and threads
  ['a module of Python', () => withCode('import os'), '"import"'],
  ['a program', (target) => withCode(`y = exec(${quoted(`touch ${target}`)})`), '"exec"'],
  ['a thread', () => withCode('y = fork(self.stem, x)'), '"fork"'],
  ['a call of another machine', () => withCode('y = ops.prim.rpc_sync("a")'), 'the operator prim::rpc_sync'],
  // Memory that is not the tensor's
  ['a window beyond a tensor', () => withCode('y = torch.as_strided(x, [9000], [9000])'), 'aten::as_strided'],
  ['an index without checks', () => withCode('y = torch._unsafe_index(x, [x])'), 'aten::_unsafe_index'],
  ['an index without an index', () => withCode('x[] = torch.relu(x)'), 'brackets without an index'],
  // Hooks, and code that is no code
  ['__setstate__, as torch writes it', () => archive('set_state'), '__getstate__'],
  ['an operator that is not known', () => archive('unlisted_operator'), 'the operator aten::digamma'],
  ['code nested 10,000 deep', () => withCode(`y = ${'('.repeat(1e4)}x${')'.repeat(1e4)}`), 'nested too deeply'],
  ['a statement without end', () => packedCode(`y = x(${'a, '.repeat(1e6)})\n`), 'a statement without end'],
  [
    'names without number',
    () => packedCode(Array.from({ length: 2e5 }, (_, i) => `a${i} : T\n`).join('')),
    'more than 10000 names',
  ],
  ['a bomb of code', () => packedCode('\n'.repeat(64 << 20)), 'above the limit of 8388608'],
  [
    'a bomb of code that hides its size',
    () => packedCode('\n'.repeat(64 << 20), 100),
    'cannot be inflated to the size it claims',
  ],
];

const pickles: readonly HostileFile[] = [
  [
    'code that the module does not use',
    () =>
      changed({ 'code/__torch__/more.py': () => Buffer.from('def f(x: Tensor) -> Tensor:\n  return torch.load(x)\n') }),
    'aten::load',
  ],
  [
    'a call of another name',
    () => changed({ 'data.pkl': replace('ctorch._utils\n_rebuild_tensor_v2\n', 'cposix\nsystem\n') }),
    'posix.system',
  ],
  [
    'a class that its code does not define',
    () => changed({ 'data.pkl': replace('c__torch__\nWrongRank\n', 'c__torch__\nOther\n') }),
    '__torch__.Other',
  ],
  [
    'a native class',
    () => changed({ 'data.pkl': replace('c__torch__\nWrongRank\n', 'c__torch__.torch.classes.rnn\nCellParamsBase\n') }),
    'CellParamsBase',
  ],
  [
    'a storage shorter than it claims',
    () => changed({ 'data/0': (content) => content.subarray(4) }),
    'claims 1536 bytes in the storage "0", which has 1532',
  ],
  [
    'a storage longer than it claims',
    () => changed({ 'data/0': (content) => Buffer.concat([content, content]) }),
    'which has 3072',
  ],
  ['no record for a storage', () => changed({ 'data/0': () => undefined }), 'which has none'],
  // The bias is 8 floats with stride 1 from element 0.
  [
    'a tensor larger than its storage',
    () => changed({ 'data.pkl': replace('K\x00(K\x08t(K\x01t', 'K\x00(K\x09t(K\x01t') }),
    'beyond its storage',
  ],
  [
    'a tensor that begins too late',
    () => changed({ 'data.pkl': replace('K\x00(K\x08t(K\x01t', 'K\x01(K\x08t(K\x01t') }),
    'beyond its storage',
  ],
  [
    'a stride too long',
    () => changed({ 'data.pkl': replace('K\x00(K\x08t(K\x01t', 'K\x00(K\x08t(K\x02t') }),
    'beyond its storage',
  ],
  [
    'a tensor of fewer strides than sizes',
    () => changed({ 'data.pkl': replace('(K\x08t(K\x01t', '(K\x08t(t') }),
    'rebuilds a tensor in a way',
  ],
  [
    'a negative stride',
    () => changed({ 'data.pkl': replace('(K\x08t(K\x01t', '(K\x08t(J\xff\xff\xff\xfft') }),
    'rebuilds a tensor in a way',
  ],
  [
    'another element type than its storage has bytes',
    () => changed({ 'data.pkl': replace('ctorch\nFloatStorage\n', 'ctorch\nDoubleStorage\n') }),
    'claims 3072 bytes',
  ],
  ['no module', () => changed({ 'data.pkl': () => Buffer.from('\x80\x02}.', 'latin1') }), 'holds no module'],
  ['a pickle in other words', () => changed({ 'data.pkl': () => Buffer.from('\x80\x04\x95', 'latin1') }), 'protocol 2'],
  [
    'constants that call names',
    () => changed({ 'constants.pkl': () => Buffer.from('\x80\x02cbuiltins\neval\n)R.', 'latin1') }),
    'builtins.eval',
  ],
  [
    'a list of other elements',
    () =>
      changed({
        'constants.pkl': () => Buffer.from('\x80\x02ctorch.jit._pickle\nbuild_intlist\n(](K\x01NetR.', 'latin1'),
      }),
    'build_intlist',
  ],
  [
    'a debug record that calls names',
    () => changed({ 'code/__torch__.py.debug_pkl': () => Buffer.from('\x80\x02c__torch__\nWrongRank\n.', 'latin1') }),
    '__torch__.WrongRank',
  ],
  [
    'a storage by the path of a file',
    () => changed({ 'data.pkl': replace('X\x01\0\0\x000', text('../../../../etc/passwd')) }),
    'which has none',
  ],
  [
    'a storage in a file',
    () => changed({ 'data.pkl': replace(text('cpu'), text('file:///etc/passwd')) }),
    'names a storage in a way',
  ],
  [
    'a pickle of megabytes',
    () => changed({ 'data.pkl': () => Buffer.alloc(3 << 20, ']') }),
    'above the limit of 2097152',
  ],
  [
    'lists without number',
    () => changed({ 'data.pkl': pickle(`]${']a'.repeat(2e5)}`) }),
    'makes more than 100000 objects',
  ],
  [
    'objects that hold each other 2^60 times',
    () => changed({ 'data.pkl': pickle(objectBomb) }),
    'nests too many objects',
  ],
  [
    'a list of 1,000 times a list of 1,000',
    () =>
      changed({
        'constants.pkl': pickle(`](${'K\x01'.repeat(1e3)}eq\0${tagged(`](${'h\0'.repeat(1e3)}e`, 'List[List[int]]')}`),
      }),
    'more than 100000 values to look at',
  ],
  [
    'a type of a million letters',
    () => changed({ 'constants.pkl': pickle(tagged(']', `List[${'a'.repeat(1e6)}]`)) }),
    'has the broken type',
  ],
];

const archives: readonly HostileFile[] = [
  ['a program that is cut short', () => cut((whole) => whole.subarray(0, whole.length >> 1)), 'cut short'],
  ['a program with a tail', () => cut((whole) => Buffer.concat([whole, Buffer.from('tail')])), 'has a tail'],
  [
    'a wrong CRC',
    () =>
      cut((whole) => {
        whole[whole.indexOf('data/0') + 200]! ^= 1;
        return whole;
      }),
    'CRC-32',
  ],
  ['a record twice', () => more('wrong_rank/data.pkl'), '"wrong_rank/data.pkl" twice'],
  ['a record twice, in another case', () => more('wrong_rank/DATA.PKL'), 'twice'],
  ['a record outside of its directory', () => more('other/x'), 'outside of its folder wrong_rank/'],
  ['a way out of the archive', () => more('wrong_rank/../../x'), 'torch does not write'],
  ['two records in one place', () => patched('constants.pkl', (central) => central.writeUInt32LE(0, 42)), 'disagrees'],
  ['an encrypted record', () => patched('data/0', (central) => central.writeUInt16LE(1, 8)), 'encrypted'],
  ['weights alone', () => changed({ 'constants.pkl': () => undefined }), 'weights only'],
  [
    'a packed storage',
    async () => {
      const records = await recordsOf(await archive('wrong_rank'));
      return zipWithDeflated(records, 'wrong_rank/data/0', Buffer.alloc(64 << 20));
    },
    'compressed, which torch does not do',
  ],
];

export const hostileTorchScript: readonly HostileFile[] = [...code, ...pickles, ...archives];
