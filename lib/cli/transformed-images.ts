import { join } from 'node:path';
import { makeDirectory, writeFileAtomic } from '../atomic-file.ts';
import { decideFlip, flipBox, scaleBox } from '../augment.ts';
import type { Size } from '../binding.ts';
import { annotateImage } from '../draw.ts';
import { decodeImage } from '../image.ts';
import { permutation } from '../random.ts';
import type { TrainerOptions } from '../trainer-options.ts';
import type { Sample, VocDataset } from '../voc-dataset.ts';

const COLUMNS = 4;
const MAX_IMAGES = 8;
const TILE_WIDTH = 320;

/** Writes `transformed_images.png`: pictures of the first batch as the model will get them, with their boxes. */
export async function writeTransformedImages(
  outDir: string,
  dataset: VocDataset,
  size: Size,
  { seed = 42, batchSize = 8, flipProbability = 0.5 }: Partial<TrainerOptions>,
): Promise<void> {
  const { default: sharp } = await import('sharp');
  const tile = { width: TILE_WIDTH, height: Math.round((TILE_WIDTH * size.height) / size.width) };
  const chosen = permutation(dataset.length, seed, 0).subarray(0, Math.min(batchSize, MAX_IMAGES));
  const tiles = await Promise.all(
    Array.from(chosen, async (index, i) => {
      const picture = await transform(dataset.samples[index]!, size, decideFlip(seed, 0, index, flipProbability));
      const input = await sharp(picture).resize(tile.width, tile.height).toBuffer();
      return { input, left: (i % COLUMNS) * tile.width, top: Math.floor(i / COLUMNS) * tile.height };
    }),
  );
  const columns = Math.min(COLUMNS, tiles.length);
  const canvas = {
    width: columns * tile.width,
    height: Math.ceil(tiles.length / COLUMNS) * tile.height,
    channels: 3,
    background: 'white',
  } as const;
  await makeDirectory(outDir);
  const png = await sharp({ create: canvas }).composite(tiles).png().toBuffer();
  await writeFileAtomic(join(outDir, 'transformed_images.png'), png);
}

async function transform({ imagePath, objects }: Sample, { width, height }: Size, flip: boolean): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  const image = await decodeImage(imagePath);
  const data = await sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .resize(width, height, { fit: 'fill' })
    .flop(flip)
    .raw()
    .toBuffer();
  const truth = objects.map(({ label, box }) => {
    const scaled = scaleBox(box, width / image.width, height / image.height);
    return { label, score: 1, box: flip ? flipBox(scaled, width) : scaled };
  });
  return annotateImage({ data, width, height }, truth, { format: 'png' });
}
