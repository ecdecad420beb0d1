import { DetectorError } from '../../base/errors.ts';
import type { ByteSource } from '../../files/byte-source.ts';
import { ZipError } from '../../files/zip-format.ts';
import type { TensorSpan } from '../safetensors.ts';
import { withWeightsFile } from '../weights-file.ts';
import { isTuple, type PickleDict, PickleError, type PickleGlobal, type PickleMeaning, readPickle } from './pickle.ts';
import { isStorageType, readStorageId, rebuildTensor, type TorchStorage, TorchTensor } from './torch-tensor.ts';
import { checkStored, readEntry, readZip, type ZipEntry } from './zip.ts';

/** The keys under which training programs store the state_dict. The first one that exists is used. */
const STATE_DICT_KEYS = ['model_state_dict', 'model', 'state_dict'];

/** The largest pickle. A model with its optimizer has thousands of tensors, with about 200 bytes of pickle each. */
const MAX_PICKLE_BYTES = 2 << 20;
const PICKLE_LIMITS = { stack: 10_000, containers: 50_000 };

export interface TorchFile {
  /** The tensors under their names in the state_dict. Their bytes lie in the file unchanged. */
  tensors: TensorSpan[];
  /** The key of the state_dict; undefined if the file is the state_dict itself. */
  key: string | undefined;
}

/**
 * Reads the description of the state_dict in a file from `torch.save` (zip, torch 1.6 and later). It executes nothing. It checks the CRC-32
 * of tensor bytes, and does not keep them. The tensors can then be read by offset and length without further checks.
 *
 * The file must be a dictionary of tensors, or contain one under `model_state_dict`, `model` or `state_dict`. The pickle may use only the
 * names that a state_dict needs. Tensors must be row-major: a transposed tensor is rejected, because its bytes are not in order.
 * @throws {DetectorError} `WEIGHTS_NOT_FOUND`, or `WEIGHTS_INVALID` naming the file, the broken rule and the remedy
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
        `${path} is not a valid file of torch.save: ${part} ${error.message}. Expected only the weights, as ` +
          'torch.save(model.state_dict(), path) writes them; download or write the file again.',
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

/** The records by their path below the archive's own folder. All must be stored, because tensors are read in place. */
async function openArchive(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const entries = await readZip(source);
  const root = `${entries[0]?.name.split('/')[0]}/`;
  const packed = entries.find(({ method }) => method !== 'stored');
  if (packed) throw new ZipError(`has ${JSON.stringify(packed.name)} compressed, which torch does not do`);
  const stray = entries.find(({ name }) => !name.startsWith(root));
  if (stray) throw new ZipError(`has ${JSON.stringify(stray.name)} outside of its folder ${root}`);
  const records = new Map(entries.map((entry) => [entry.name.slice(root.length), entry]));
  if (!records.has('data.pkl')) throw new ZipError('has no data.pkl: torch did not write it');
  return records;
}

/** The meaning of the names and calls in the pickle of a state_dict. Everything else is rejected. */
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

  /** Ignores `_metadata`, the versions of the modules of a state_dict. */
  setAttributes(): void {}

  persistent(id: unknown): TorchStorage {
    return readStorageId(id, (key) => this.#records.get(`data/${key}`), isLocation);
  }
}

/** The functions that a state_dict calls. The result is undefined for arguments that torch does not write. */
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
  if (typeof name !== 'string') throw new PickleError('names a tensor by something that is not text');
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

/** Tells whether a value is the device of a saved tensor: "cpu", "cuda:0", "mps". */
function isLocation(value: unknown): boolean {
  return typeof value === 'string' && /^[a-z]{2,16}(:\d{1,3})?$/.test(value);
}
