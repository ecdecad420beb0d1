import { setImmediate } from 'node:timers/promises';
import { DetectorError } from '../../base/errors.ts';
import { ZipError } from '../../files/zip-format.ts';
import {
  isList,
  isTuple,
  type PickleDict,
  PickleError,
  type PickleGlobal,
  type PickleMeaning,
  readPickle,
} from './pickle.ts';
import { isStorageType, readStorageId, rebuildTensor, type TorchStorage, TorchTensor } from './torch-tensor.ts';
import { checkCode, type Declarations, TorchScriptCodeError } from './torchscript-code.ts';
import { readEntry, readZip, type ZipEntry } from './zip.ts';

const LIST_ELEMENTS: Record<string, string> = {
  build_intlist: 'int',
  build_doublelist: 'float',
  build_boollist: 'bool',
  build_tensorlist: 'Tensor',
};
/** The largest size of all unpacked code. A traced ViT-7B has 2 MB of it, and 100 kB of pickle. */
const MAX_CODE_BYTES = 8 << 20;
const MAX_PICKLE_BYTES = 2 << 20;
const PICKLE_LIMITS = { stack: 100_000, containers: 100_000 };
/** The largest number of objects in a walk through a module. A shared object counts each time, because torch walks it again. */
const MAX_OBJECTS = 100_000;
const MAX_DEPTH = 100;
/** The largest number of values in lists and states. A shared value counts each time. */
const MAX_VALUES = 100_000;
const MAX_TYPE_LENGTH = 1000;

/**
 * Checks a TorchScript file before LibTorch may load it, without executing anything. `torch::jit::load` runs a file's `__setstate__` and
 * trusts its sizes. So everything that it would read is checked first:
 *
 * - the zip structure and every CRC-32
 * - the code (`checkCode`): only operators of `allowedOperators`, no `__setstate__`
 * - the pickles: only names that torch writes, every storage as large as its record, every tensor within its storage
 *
 * Load the same bytes afterwards, not the file again, and give the addon `allowedNodes`. Before it runs anything, it compares LibTorch's
 * graphs with that list.
 * @param archive the whole file
 * @param name the name of the file in messages
 * @throws {DetectorError} `TORCHSCRIPT_REFUSED` naming the operator or the rule
 */
export async function vetTorchScript(archive: Buffer, name: string): Promise<void> {
  try {
    const records = await openArchive(archive);
    const declarations = await checkCode(await readCode(records));
    for (const [path, entry] of records) {
      await setImmediate(); // a record takes a few milliseconds at most before it pauses by itself
      await checkRecord(path, entry, records, declarations);
    }
  } catch (error) {
    if (!(error instanceof ZipError || error instanceof PickleError || error instanceof TorchScriptCodeError))
      throw error;
    const part =
      error instanceof ZipError ? 'the archive' : error instanceof PickleError ? 'a pickle in it' : 'its code';
    throw new DetectorError(
      'TORCHSCRIPT_REFUSED',
      `Refused to load ${name}: ${part} ${error.message}. Expected a file written by torch.jit.save from a model of plain tensor ` +
        'operators. Write it again with torch.jit.save. If you trust its author as you trust the author of a program, load it ' +
        'unchecked with trustTorchScript (--trust-torchscript).',
      { cause: error },
    );
  }
}

/** The records by their path below the archive's own folder. */
async function openArchive(archive: Buffer): Promise<Map<string, ZipEntry>> {
  if (archive.length < 4 || archive.readUInt32LE(0) !== 0x04034b50) {
    throw new ZipError('is not a zip archive: files of torch.save before 1.6 and other formats are not TorchScript');
  }
  const entries = await readZip(archive);
  const root = `${entries[0]?.name.split('/')[0]}/`;
  const records = new Map(entries.map((entry) => [entry.name.slice(root.length), entry]));
  const stray = entries.find(({ name }) => !name.startsWith(root));
  if (stray) throw new ZipError(`has ${JSON.stringify(stray.name)} outside of its folder ${root}`);
  for (const needed of ['data.pkl', 'constants.pkl']) {
    if (!records.has(needed))
      throw new ZipError(`has no ${needed}: it is a file of torch.save (weights only), not of torch.jit.save`);
  }
  return records;
}

/** The code by qualified module name, such as `__torch__.torch.nn.modules.conv`. */
async function readCode(records: ReadonlyMap<string, ZipEntry>): Promise<Map<string, string>> {
  const entries = [...records].filter(([path]) => isCode(path));
  const bytes = entries.reduce((sum, [, { size }]) => sum + size, 0);
  if (bytes > MAX_CODE_BYTES) throw new ZipError(`has ${bytes} bytes of code, above the limit of ${MAX_CODE_BYTES}`);
  const code = new Map<string, string>();
  for (const [path, entry] of entries) {
    if (!path.endsWith('.py')) continue;
    code.set(path.slice(5, -3).replaceAll('/', '.'), (await readEntry(entry, MAX_CODE_BYTES)).toString('utf8'));
  }
  return code;
}

/** Tells whether a record is code or its line numbers. */
function isCode(path: string): boolean {
  return path.startsWith('code/');
}

/** Checks a record by its kind. A record that torch does not read at load still needs a valid CRC-32. */
async function checkRecord(
  path: string,
  entry: ZipEntry,
  records: ReadonlyMap<string, ZipEntry>,
  declarations: Declarations,
): Promise<void> {
  if (entry.method !== 'stored' && !isCode(path))
    throw new ZipError(`has ${JSON.stringify(path)} compressed, which torch does not do`);
  const isPickle = /pkl$/.test(path);
  const content = await readEntry(entry, isPickle ? MAX_PICKLE_BYTES : Number.MAX_SAFE_INTEGER);
  if (path === 'data.pkl' || path === 'constants.pkl') {
    const meaning = new ModuleMeaning(path === 'data.pkl' ? 'data/' : 'constants/', records, declarations);
    const root = await readPickle(content, meaning, PICKLE_LIMITS);
    if (path === 'data.pkl' && !(root instanceof ModuleObject)) throw new PickleError('holds no module');
  } else if (path.endsWith('.debug_pkl')) {
    const meaning = new ModuleMeaning('', new Map(), { classes: new Set(), members: new Set() });
    await readPickle(content, meaning, PICKLE_LIMITS);
  }
}

class Device {}
class ModuleObject {
  readonly objects: number;
  readonly depth: number;
  constructor(children: readonly ModuleObject[]) {
    this.objects = children.reduce((sum, child) => sum + child.objects, 1);
    this.depth = 1 + children.reduce((depth, child) => Math.max(depth, child.depth), 0);
  }
}

/** A limit on the work on lists and states. A pickle may name each again and again, at two bytes each. */
class Budget {
  #left = MAX_VALUES;
  spend(values: number): void {
    this.#left -= values;
    if (this.#left < 0) throw new PickleError(`has more than ${MAX_VALUES} values to look at`);
  }
}

/** The meaning of the names and calls in a module's pickle. Everything that torch does not write is rejected. */
class ModuleMeaning implements PickleMeaning {
  readonly #prefix: string;
  readonly #records: ReadonlyMap<string, ZipEntry>;
  readonly #classes: ReadonlySet<string>;
  readonly #budget = new Budget();

  constructor(prefix: string, records: ReadonlyMap<string, ZipEntry>, { classes }: Declarations) {
    this.#prefix = prefix;
    this.#records = records;
    this.#classes = classes;
  }

  checkGlobal(global: PickleGlobal): void {
    const { module, name } = global;
    const known =
      this.#classes.has(`${global}`) ||
      isStorageType(global) ||
      (module === 'torch' && name === 'device') ||
      (module === 'torch._utils' && name === '_rebuild_tensor_v2') ||
      (module === 'torch.jit._pickle' && (Object.hasOwn(LIST_ELEMENTS, name) || name === 'restore_type_tag')) ||
      (module === 'collections' && name === 'OrderedDict');
    if (!known)
      throw new PickleError(`asks for ${`${global}`.slice(0, 200)}, which is not on the list of allowed names`);
  }

  reduce(callee: PickleGlobal, args: readonly unknown[]): unknown {
    switch (`${callee}`) {
      case 'collections.OrderedDict':
        if (args.length === 0) return new Map();
        break;
      case 'torch._utils._rebuild_tensor_v2':
        return rebuildTensor(args);
      case 'torch.device':
        if (args.length === 1 && isDeviceName(args[0])) return new Device();
        break;
      case 'torch.jit._pickle.restore_type_tag':
        if (args.length === 2 && typeof args[1] === 'string' && isOfType(args[0], parseType(args[1]), this.#budget))
          return args[0];
        break;
      default: {
        const element = callee.module === 'torch.jit._pickle' ? LIST_ELEMENTS[callee.name] : undefined;
        const type = { name: 'List', of: [{ name: element ?? '', of: [] }] };
        if (args.length === 1 && isOfType(args[0], type, this.#budget)) return args[0];
      }
    }
    throw new PickleError(`calls ${callee} in a way that torch does not`);
  }

  build(type: PickleGlobal, state: unknown): ModuleObject {
    if (!this.#classes.has(`${type}`))
      throw new PickleError(`makes an object of ${type}, which its code does not define`);
    if (!(state instanceof Map)) throw new PickleError(`gives ${type} a state that is not a dictionary`);
    this.#budget.spend(state.size);
    const object = new ModuleObject(
      [...(state as PickleDict).values()].filter((value) => value instanceof ModuleObject),
    );
    if (object.objects > MAX_OBJECTS || object.depth > MAX_DEPTH) throw new PickleError('nests too many objects');
    return object;
  }

  persistent(id: unknown): TorchStorage {
    return readStorageId(id, (key) => this.#records.get(this.#prefix + key), isDeviceName);
  }
}

interface Type {
  name: string;
  of: Type[];
}

/** Parses a type: "Dict[str, List[int]]" becomes a tree. */
function parseType(text: string): Type {
  const words = text.slice(0, MAX_TYPE_LENGTH + 1).match(/\w+|\S/g) ?? [];
  let at = 0;
  const parse = (depth: number): Type => {
    const name = words[at++] ?? '';
    const of: Type[] = [];
    if (text.length > MAX_TYPE_LENGTH || depth > 20 || !/^\w+$/.test(name))
      throw new PickleError(`has the broken type ${JSON.stringify(text.slice(0, 100))}`);
    if (words[at] === '[') {
      do {
        at++;
        of.push(parse(depth + 1));
      } while (words[at] === ',');
      if (words[at++] !== ']') throw new PickleError(`has the broken type ${JSON.stringify(text.slice(0, 100))}`);
    }
    return { name, of };
  };
  const type = parse(0);
  if (at !== words.length) throw new PickleError(`has the broken type ${JSON.stringify(text.slice(0, 100))}`);
  return type;
}

function isOfType(value: unknown, { name, of }: Type, budget: Budget): boolean {
  switch (name) {
    case 'int':
      return Number.isInteger(value) || typeof value === 'bigint';
    case 'float':
      return typeof value === 'number';
    case 'bool':
      return typeof value === 'boolean';
    case 'str':
      return typeof value === 'string';
    case 'Tensor':
      return value instanceof TorchTensor;
    case 'Optional':
      return of.length === 1 && (value === null || isOfType(value, of[0]!, budget));
    case 'List':
      if (of.length !== 1 || !isList(value)) return false;
      budget.spend(value.length);
      return value.every((element) => isOfType(element, of[0]!, budget));
    case 'Tuple':
      if (!isTuple(value) || value.length !== of.length) return false;
      budget.spend(value.length);
      return value.every((element, i) => isOfType(element, of[i]!, budget));
    case 'Dict':
      if (of.length !== 2 || !(value instanceof Map)) return false;
      budget.spend(value.size);
      return [...value].every(([key, item]) => isOfType(key, of[0]!, budget) && isOfType(item, of[1]!, budget));
    default:
      return false;
  }
}

function isDeviceName(value: unknown): boolean {
  return typeof value === 'string' && /^(cpu|cuda(:\d{1,2})?)$/.test(value);
}
