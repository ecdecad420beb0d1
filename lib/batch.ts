import type { BatchHandle, BatchSpec, NativeAddon } from './binding.ts';

/**
 * Makes a batch of pictures that nobody needs afterwards: their memory is free at once, for the next ones. Left to the collector it
 * would be dozens of pictures, and each in memory that the system has just cleared, which takes as long as the decoding.
 */
export async function makeBatch(addon: NativeAddon, spec: BatchSpec): Promise<BatchHandle> {
  const batch = await addon.createBatch(spec);
  const pictures = spec.images.flatMap((image) => ('layers' in image ? image.layers : [image]));
  for (const { data } of pictures) addon.freePixels(data);
  return batch;
}
