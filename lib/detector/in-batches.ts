import { checkSequence } from '../base/check.ts';
import type { Detection } from '../boxes/detection.ts';
import type { RgbImage } from '../images/image.ts';

export interface Batches<T> {
  batchSize: number;
  /** Looked at before each batch, after its images are decoded, and at the end. */
  signal: AbortSignal | undefined;
  decode(input: T): Promise<RgbImage>;
  detect(images: RgbImage[]): Promise<Detection[][]>;
}

/** The detections of one image, or of several in their order. */
export async function detectInBatches<T>(
  input: T | readonly T[],
  { batchSize, signal, decode, detect }: Batches<T>,
): Promise<Detection[] | Detection[][]> {
  const inputs = (Array.isArray(input) ? checkSequence('images', input) : [input]) as T[];
  const all: Detection[][] = [];
  for (let begin = 0; begin < inputs.length; begin += batchSize) {
    signal?.throwIfAborted();
    const images = await Promise.all(inputs.slice(begin, begin + batchSize).map(decode));
    signal?.throwIfAborted();
    all.push(...(await detect(images)));
  }
  signal?.throwIfAborted();
  return Array.isArray(input) ? all : all[0]!;
}
