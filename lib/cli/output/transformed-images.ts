import { join } from 'node:path';
import type { Dataset } from '../../data/dataset.ts';
import { makeDirectory, writeFileAtomic } from '../../files/atomic-file.ts';
import type { DetectorConfig } from '../../model/config.ts';
import { previewAugmentation } from '../../training/preview.ts';
import type { Trainer } from '../../training/trainer.ts';

const MAX_IMAGES = 8;

/** Writes `transformed_images.png`: images of the first batch with their boxes, as the model gets them. */
export async function writeTransformedImages(
  outDir: string,
  dataset: Dataset,
  { imageSize, resize }: Pick<DetectorConfig, 'imageSize' | 'resize'>,
  { batchSize, epochs, seed, flipProbability, augmentation }: Trainer['options'],
): Promise<void> {
  const png = await previewAugmentation(dataset, {
    ...{ imageSize, resize },
    count: Math.min(batchSize, MAX_IMAGES),
    ...{ epochs, seed, flipProbability },
    ...(augmentation && { augmentation }),
  });
  await makeDirectory(outDir);
  await writeFileAtomic(join(outDir, 'transformed_images.png'), png);
}
