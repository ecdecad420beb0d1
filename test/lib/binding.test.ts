import { expect, it } from 'vitest';
import { type BatchSpec, makeBatch, native } from '../../lib/binding.ts';

const addon = await native();
const size = { width: 2, height: 1 };
const bytes = [1, 2, 3, 4, 5, 6];
const objects = (images: number) => ({
  counts: new Int32Array(images),
  boxes: new Float32Array(0),
  labels: new Int32Array(0),
});
const spec = (images: BatchSpec['images']): BatchSpec => ({ size, images, ...objects(images.length) });

/** Two columns, as they are: the whole image in the whole area. */
const placement = { window: { x: 0, y: 0, ...size }, area: { x: 0, y: 0, ...size }, weight: 1 };

it('makes the batch, and frees its images and those of its layers', async () => {
  const image = { data: Uint8Array.from(bytes), ...size, flip: false };
  const layer = { data: Uint8Array.from(bytes), ...size, ...placement, flip: true };
  const batch = await makeBatch(addon, spec([image, { fill: [0, 0, 0], layers: [layer] }]));
  expect([...addon.readBatch(batch)]).toEqual([...bytes, 4, 5, 6, 1, 2, 3]);
  expect([image.data.length, layer.data.length]).toEqual([0, 0]);
  addon.disposeBatch(batch);
});

it('takes one image twice', async () => {
  const image = { data: Uint8Array.from(bytes), ...size, flip: false };
  const batch = await makeBatch(addon, spec([image, image]));
  expect([...addon.readBatch(batch)]).toEqual([...bytes, ...bytes]);
  addon.disposeBatch(batch);
});

it('leaves a buffer alone of which the image is a part', async () => {
  const whole = Uint8Array.from([0, ...bytes, 7]);
  const batch = await makeBatch(addon, spec([{ data: whole.subarray(1, 7), ...size, flip: false }]));
  expect([...whole]).toEqual([0, ...bytes, 7]);
  addon.disposeBatch(batch);
});

it('frees nothing of a batch that was not made', async () => {
  const image = { data: Uint8Array.from(bytes), ...size, flip: false };
  await expect(makeBatch(addon, { ...spec([image]), counts: new Int32Array(2) })).rejects.toThrow(RangeError);
  expect([...image.data]).toEqual(bytes);
});
