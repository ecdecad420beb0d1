import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Detection } from '../boxes/detection.ts';
import type { RgbImage } from '../images/image.ts';
import { createHandle } from './create-handle.ts';
import { detectDecoded } from './detect-decoded.ts';
import { internalsOf, keepInternals } from './detector-internals.ts';
import type { ModelDescription } from './model-files.ts';
import { readState, writeState } from './model-state.ts';

/**
 * What a detector finds with the limits of its configuration, computed in float32 whatever its own precision is: an export has float32
 * weights, and is compared with this. One image after the other; their pixels stay.
 */
export async function detectInFloat32(detector: ModelDescription, images: readonly RgbImage[]): Promise<Detection[][]> {
  const { addon, handle } = internalsOf(detector);
  if (addon.precision(handle) === 'fp32') return await detectEach(detector, images);
  const twin = await twinOf(detector);
  try {
    return await detectEach(twin, images);
  } finally {
    addon.disposeDetector(internalsOf(twin).handle);
  }
}

/** The same model in float32, on the CPU. */
async function twinOf(detector: ModelDescription): Promise<ModelDescription> {
  const own = internalsOf(detector);
  const { addon } = own;
  const { classes, config } = detector;
  const handle = await createHandle(addon, detector, { device: 'cpu', precision: 'fp32' });
  const folder = await mkdtemp(join(tmpdir(), 'dinov3-det-export-'));
  try {
    const weights = join(folder, 'model.safetensors');
    await writeState(addon, own.handle, 'model', weights);
    await readState(addon, handle, 'model', weights);
  } catch (error) {
    addon.disposeDetector(handle);
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const twin = { classes, config };
  keepInternals(twin, { ...own, handle });
  return twin;
}

async function detectEach(detector: ModelDescription, images: readonly RgbImage[]): Promise<Detection[][]> {
  const all: Detection[][] = [];
  for (const image of images) {
    const copy = { ...image, data: new Uint8Array(image.data) }; // a batch takes what it is given
    all.push(...(await detectDecoded(detector, [copy], detector.config.postprocess)));
  }
  return all;
}
