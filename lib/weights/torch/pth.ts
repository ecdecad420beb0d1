import { DetectorError } from '../../base/errors.ts';
import type { ByteSource } from '../../files/byte-source.ts';
import { ZipError } from '../../files/zip-format.ts';
import type { TensorSpan } from '../safetensors.ts';
import { withWeightsFile } from '../weights-file.ts';
import { isTuple, type PickleDict, PickleError, type PickleGlobal, type PickleMeaning, readPickle } from './pickle.ts';
import { isStorageType, readStorageId, rebuildTensor, type TorchStorage, TorchTensor } from './torch-tensor.ts';
import { checkStored, readEntry, readZip, type ZipEntry } from './zip.ts';

/** Where training programs keep the state_dict beside other things; the first that is there is taken. */
const STATE_DICT_KEYS = ['model_state_dict', 'model', 'state_dict'];

/** A model with its optimizer has some thousands of tensors, and about 200 bytes of pickle for each. */
const MAX_PICKLE_BYTES = 2 << 20;
const PICKLE_LIMITS = { stack: 10_000, containers: 50_000 };

export interface TorchFile {
  /** Of the state_dict, by their names there; each one's bytes lie in the file as they are. */
  tensors: TensorSpan[];
  /** The key that the state_dict was under; undefined when the file is the state_dict. */
  key: string | undefined;
}

/**
 * Reads what a file of `torch.save` (zip, torch 1.6 and later) says of its state_dict, executing nothing; tensor bytes are summed
 * (CRC-32), and not kept. Whatever passes can be read by offset and length without further checks.
 *
 * Taken is a dictionary of tensors, or a dictionary with one under `model_state_dict`, `model` or `state_dict`. The pickle may use
 * the names that a state_dict needs and no others. Tensors must be row-major: a transposed one is refused, for its bytes are not in order.
 * @throws DetectorError WEIGHTS_NOT_FOUND, or WEIGHTS_INVALID naming the file, the rule that it breaks, and the remedy
 */
export async function readTorchFile(path: string): Promise<TorchFile> {
  return await withWeightsFile(path, async (source) => {
    try {
      return await readStateDict(source);
    } catch (error) {
      if (!(error instanceof ZipError || error instanceof PickleError)) throw error;
      const part = error instanceof ZipError ? 'the archive' : 'its pickle';
      throw new DetectorError(
        'WEIGHTS_INVALID',
        `${path} is not a sound file of torch.save: ${part} ${error.message}. Expected the weights alone, as ` +
          'torch.save(model.state_dict(), path) writes them; write the file again, or get it again from its source.',
        { cause: error },
      );
    }
  });
}

async function readStateDict(source: ByteSource): Promise<TorchFile> {
  const records = await openArchive(source);
  const byteorder = records.get('byteorder');
  if (byteorder && (await readEntry(byteorder, 16)).toString() !== 'little')
    throw new ZipError('was written on a big-endian machine; load and save it on a little-endian one');

  const pickle = await readEntry(records.get('data.pkl')!, MAX_PICKLE_BYTES);
  const root = await readPickle(pickle, new StateDictMeaning(records), PICKLE_LIMITS);
  const { key, stateDict } = findStateDict(root);
  const named = [...stateDict].filter((item): item is [unknown, TorchTensor] => item[1] instanceof TorchTensor);
  const tensors = named.map(([name, tensor]) => span(name, tensor));
  for (const record of new Set(named.map(([, { storage }]) => storage.record))) {
    if (record) await checkStored(record);
  }
  return { key, tensors };
}

/** The records by their path below the archive's own directory. Everything is stored: tensors are read in place. */
async function openArchive(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const entries = await readZip(source);
  const root = `${entries[0]?.name.split('/')[0]}/`;
  const packed = entries.find(({ method }) => method !== 'stored');
  if (packed) throw new ZipError(`has ${JSON.stringify(packed.name)} packed, which torch does not do`);
  const stray = entries.find(({ name }) => !name.startsWith(root));
  if (stray) throw new ZipError(`has ${JSON.stringify(stray.name)} outside of its directory ${root}`);
  const records = new Map(entries.map((entry) => [entry.name.slice(root.length), entry]));
  if (!records.has('data.pkl')) throw new ZipError('has no data.pkl: torch did not write it');
  return records;
}

/** What the names and calls in the pickle of a state_dict mean; everything else is refused. */
class StateDictMeaning implements PickleMeaning {
  readonly #records: ReadonlyMap<string, ZipEntry>;

  constructor(records: ReadonlyMap<string, ZipEntry>) {
    this.#records = records;
  }

  checkGlobal(global: PickleGlobal): void {
    if (!isStorageType(global) && !Object.hasOwn(CALLS, `${global}`))
      throw new PickleError(`asks for ${`${global}`.slice(0, 200)}, which is not on the list of allowed names`);
  }

  reduce(callee: PickleGlobal, args: readonly unknown[]): unknown {
    const call = Object.hasOwn(CALLS, `${callee}`) ? CALLS[`${callee}`] : undefined;
    const result = call?.(args);
    if (result === undefined) throw new PickleError(`calls ${callee} in a way that torch does not`);
    return result;
  }

  build(type: PickleGlobal): never {
    throw new PickleError(`makes an object of ${type}`);
  }

  /** A state_dict has `_metadata`, the versions of its modules: of no use here. */
  setAttributes(): void {}

  persistent(id: unknown): TorchStorage {
    return readStorageId(id, (key) => this.#records.get(`data/${key}`), isLocation);
  }
}

/** The functions that a state_dict calls; undefined for arguments that torch does not write. */
const CALLS: Record<string, (args: readonly unknown[]) => unknown> = {
  'collections.OrderedDict': (args) => (args.length === 0 ? new Map() : undefined),
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  // (data, requires_grad, backward_hooks)
  'torch._utils._rebuild_parameter': ([data, ...rest]) =>
    data instanceof TorchTensor && rest.length === 2 ? data : undefined,
  'torch.Size': (args) => (args.length === 1 && isTuple(args[0]) ? args[0] : undefined),
};

function findStateDict(root: unknown): { key: string | undefined; stateDict: PickleDict } {
  if (isStateDict(root)) return { key: undefined, stateDict: root };
  const dict: PickleDict = root instanceof Map ? root : new Map();
  for (const key of STATE_DICT_KEYS) {
    const stateDict = dict.get(key);
    if (isStateDict(stateDict)) return { key, stateDict };
  }
  throw new PickleError(`holds no dictionary of tensors, by itself or under ${STATE_DICT_KEYS.join(', ')}`);
}

function isStateDict(value: unknown): value is PickleDict {
  return value instanceof Map && [...value.values()].some((item) => item instanceof TorchTensor);
}

function span(name: unknown, tensor: TorchTensor): TensorSpan {
  if (typeof name !== 'string') throw new PickleError('names a tensor by something that is no text');
  const wrong = (rule: string) => new PickleError(`has the tensor ${JSON.stringify(name.slice(0, 200))}, ${rule}`);
  const { storage, offset, shape, strides } = tensor;
  if (storage.dtype === undefined) throw wrong('which is complex');
  if (!tensor.isContiguous) {
    const found = `strides ${strides.join(', ')} for the shape ${shape.join(' x ')}`;
    throw wrong(`which is not contiguous (${found}): save it as tensor.contiguous()`);
  }
  return {
    name,
    dtype: storage.dtype,
    shape: shape as number[], // many tensors may share it
    offset: (storage.record?.offset ?? 0) + offset * storage.elementBytes,
    byteLength: tensor.elements * storage.elementBytes,
  };
}

/** "cpu", "cuda:0", "mps": where the tensor was when it was saved. */
function isLocation(value: unknown): boolean {
  return typeof value === 'string' && /^[a-z]{2,16}(:\d{1,3})?$/.test(value);
}
