import type { SafetensorsDtype } from '../safetensors.ts';
import { isTuple, PickleError, PickleGlobal } from './pickle.ts';
import type { ZipEntry } from './zip.ts';

/** Storages and tensors as torch's archives describe them, in `torch.save` and `torch.jit.save` alike. They are checked, not loaded. */

/** The storages that torch writes: bytes per element, and the element type if safetensors has a name for it. */
const STORAGES: Record<string, { bytes: number; dtype?: SafetensorsDtype }> = {
  DoubleStorage: { bytes: 8, dtype: 'F64' },
  FloatStorage: { bytes: 4, dtype: 'F32' },
  HalfStorage: { bytes: 2, dtype: 'F16' },
  BFloat16Storage: { bytes: 2, dtype: 'BF16' },
  LongStorage: { bytes: 8, dtype: 'I64' },
  IntStorage: { bytes: 4, dtype: 'I32' },
  ShortStorage: { bytes: 2, dtype: 'I16' },
  CharStorage: { bytes: 1, dtype: 'I8' },
  ByteStorage: { bytes: 1, dtype: 'U8' },
  BoolStorage: { bytes: 1, dtype: 'BOOL' },
  ComplexFloatStorage: { bytes: 8 },
  ComplexDoubleStorage: { bytes: 16 },
};

/** The name of torch's storage for elements of this type. @throws {TypeError} if there is none */
export function storageType(dtype: SafetensorsDtype): string {
  const type = Object.keys(STORAGES).find((name) => STORAGES[name]!.dtype === dtype);
  if (type === undefined) throw new TypeError(`torch has no storage of the type ${dtype}`);
  return type;
}

/** The strides, in elements, of a row-major tensor without gaps. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((product, length) => product * length, 1));
}

/** The limit of torch's own operators. A tuple is checked each time the pickle names it, so it must be short. */
const MAX_DIMENSIONS = 64;

export class TorchStorage {
  readonly dtype: SafetensorsDtype | undefined;
  readonly elementBytes: number;
  readonly elements: number;
  /** The record with the bytes. A storage without elements may have none. */
  readonly record: ZipEntry | undefined;

  constructor(type: string, elements: number, record: ZipEntry | undefined) {
    const { bytes, dtype } = STORAGES[type]!;
    this.dtype = dtype;
    this.elementBytes = bytes;
    this.elements = elements;
    this.record = record;
  }
}

/** A view of a storage. It lies within the storage. */
export class TorchTensor {
  readonly storage: TorchStorage;
  /** The offset, in elements. */
  readonly offset: number;
  readonly shape: readonly number[];
  /** The strides, in elements. */
  readonly strides: readonly number[];

  constructor(storage: TorchStorage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  /** True if the elements follow each other in row-major order. */
  get isContiguous(): boolean {
    if (this.elements === 0) return true;
    let step = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      if (this.shape[axis] !== 1 && this.strides[axis] !== step) return false;
      step *= this.shape[axis]!;
    }
    return true;
  }

  get elements(): number {
    return this.shape.reduce((product, length) => product * length, 1);
  }
}

export function isStorageType({ module, name }: PickleGlobal): boolean {
  return module === 'torch' && Object.hasOwn(STORAGES, name);
}

/**
 * Reads `('storage', type, key, location, elements)`. The record of the storage must have exactly that many elements.
 * @param record returns the record of a key
 * @throws {PickleError}
 */
export function readStorageId(
  id: unknown,
  record: (key: string) => ZipEntry | undefined,
  isLocation: (value: unknown) => boolean,
): TorchStorage {
  const [tag, type, key, location, elements] = isTuple(id) && id.length === 5 ? id : [];
  const sound =
    tag === 'storage' &&
    type instanceof PickleGlobal &&
    isStorageType(type) &&
    typeof key === 'string' &&
    isLocation(location) &&
    isCount(elements);
  if (!sound) throw new PickleError('names a storage in a way that torch does not');
  const storage = new TorchStorage(type.name, elements, record(key));
  const bytes = elements * storage.elementBytes;
  if (elements > 0 && storage.record?.size !== bytes) {
    const found = storage.record ? `${storage.record.size}` : 'none';
    throw new PickleError(
      `claims ${bytes} bytes in the storage ${JSON.stringify(key.slice(0, 100))}, which has ${found}`,
    );
  }
  return storage;
}

/**
 * Reads the arguments of `torch._utils._rebuild_tensor_v2`: `(storage, offset, size, stride, requires_grad, hooks)`. C++ sets sizes and
 * strides unchecked, so they are checked here.
 * @throws {PickleError}
 */
export function rebuildTensor(args: readonly unknown[]): TorchTensor {
  const [storage, offset, size, stride, requiresGrad, hooks] = args;
  const sound =
    args.length === 6 &&
    storage instanceof TorchStorage &&
    isCount(offset) &&
    isTuple(size) &&
    isTuple(stride) &&
    size.length === stride.length &&
    size.length <= MAX_DIMENSIONS &&
    size.every(isCount) &&
    stride.every(isCount) &&
    typeof requiresGrad === 'boolean' &&
    hooks instanceof Map &&
    hooks.size === 0;
  if (!sound) throw new PickleError('rebuilds a tensor in a way that torch does not');
  const tensor = new TorchTensor(storage, offset, size as readonly number[], stride as readonly number[]);
  const last = tensor.shape.reduce((sum, length, axis) => sum + (length - 1) * tensor.strides[axis]!, offset);
  if (!Number.isSafeInteger(tensor.elements) || (tensor.elements > 0 && last >= storage.elements))
    throw new PickleError('has a tensor that reaches beyond its storage');
  return tensor;
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
