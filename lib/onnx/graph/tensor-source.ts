import { open } from 'node:fs/promises';
import { readSafetensorsHeader } from '../../weights/safetensors.ts';

/** The tensors of a model by their names in our checkpoints, float32, each read when it is asked for. */
export interface TensorSource {
  /** Of all of them together. */
  byteLength: number;
  has(name: string): boolean;
  /** @throws Error for a name that the model has not */
  shape(name: string): readonly number[];
  read(name: string): Promise<Float32Array>;
}

/** Node.js reads no 2 GB at once. */
const MAX_READ = 2 ** 28;

/** Those of a safetensors file; `use` is done with it when its promise settles. */
export async function withTensorFile<T>(path: string, use: (tensors: TensorSource) => Promise<T>): Promise<T> {
  const { tensors } = await readSafetensorsHeader(path);
  const spans = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const spanOf = (name: string) => {
    const span = spans.get(name);
    if (span?.dtype === 'F32') return span;
    throw new Error(`Expected a float32 tensor "${name}" in the model, found ${span?.dtype ?? 'none'}`);
  };
  const file = await open(path);
  const read = async (name: string) => {
    const { offset, byteLength } = spanOf(name);
    const values = new Float32Array(byteLength / 4);
    const bytes = new Uint8Array(values.buffer);
    for (let done = 0; done < byteLength; ) {
      const { bytesRead } = await file.read(bytes, done, Math.min(byteLength - done, MAX_READ), offset + done);
      if (bytesRead === 0) throw new Error(`${path} ends inside the tensor "${name}"`);
      done += bytesRead;
    }
    return values;
  };
  try {
    const byteLength = tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0);
    return await use({ byteLength, has: (name) => spans.has(name), shape: (name) => spanOf(name).shape, read });
  } finally {
    await file.close();
  }
}
