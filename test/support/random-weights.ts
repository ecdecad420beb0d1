import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Detector } from '../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../lib/detector/detector-options.ts';
import { exportDetector } from '../../lib/detector/export-detector.ts';
import { readSafetensorsHeader } from '../../lib/weights/safetensors.ts';

/** Of each kind of tensor: the mean and the spread of its values. */
function spreadOf(name: string): [mean: number, spread: number] {
  if (name.endsWith('gamma')) return [0.3, 0.2];
  if (/(norm.*|gn)\.weight$|downsample_layers\.(0\.1|[123]\.0)\.weight$/.test(name)) return [1, 0.3];
  if (name.endsWith('.bias')) return [0, 0.2];
  return [0, 0];
}

/**
 * A detector whose weights all count: a layer scale of 1e-6, norms of 1 and biases of 0, as new models have them, would hide
 * most mistakes. Its scores are spread, so that their order does not depend on the last bit.
 */
export async function randomDetector(options: DetectorOptions): Promise<Detector> {
  const folder = await mkdtemp(join(tmpdir(), 'dinov3-det-random-'));
  try {
    const path = join(folder, 'weights.safetensors');
    await using detector = await Detector.create(options);
    await exportDetector(detector, path, { format: 'safetensors' });
    await randomize(path, detector.config.head === 'retinanet');
    return await Detector.create({ ...options, weights: path });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function randomize(path: string, retinaNet: boolean): Promise<void> {
  const file = await readFile(path);
  const view = new DataView(file.buffer, file.byteOffset);
  const { tensors } = await readSafetensorsHeader(path);
  let state = 12345;
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  for (const { name, shape, offset, byteLength } of tensors) {
    const [mean, given] = spreadOf(name);
    const inputs = shape.slice(1).reduce((a, b) => a * b, 1);
    const isHead = name.startsWith('head.');
    const wide = retinaNet && /conv\.\d\.0/.test(name) ? 6 : 3;
    const spread = name.includes('bbox_reg')
      ? 0.02
      : given || Math.sqrt((isHead ? wide : 3) / inputs) * (isHead && !retinaNet ? 1.2 : 1);
    for (let at = offset; at < offset + byteLength; at += 4) view.setFloat32(at, mean + spread * draw(), true);
    if (/cls_logits\.bias$|rtm_cls\.\d\.bias$/.test(name)) {
      for (let at = offset; at < offset + byteLength; at += 4) view.setFloat32(at, -2 + draw(), true);
    }
  }
  await writeFile(path, file);
}
