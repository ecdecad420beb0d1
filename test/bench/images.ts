import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sceneClasses, writeDrawnScenes } from '../../lib/cli/demo/drawn-scenes.ts';
import type { VocDatasetOptions } from '../../lib/data/voc-dataset.ts';
import { bccdRoot, hasBccd } from '../support/shared.ts';

export interface Images {
  /** What they are, for the name of a row. */
  name: string;
  /** JPEG files, 32 of them. */
  paths: string[];
  /** All of them, as a data set. */
  source: VocDatasetOptions & { root: string };
}

/** Photographs where they lie beside the checkout, else images drawn into `folder`, of the size that Pascal VOC's have. */
export async function findImages(folder: string): Promise<Images> {
  const found = hasBccd
    ? {
        name: 'BCCD, 640 x 480',
        root: bccdRoot,
        split: 'train',
        classes: ['__background__', 'RBC', 'WBC', 'Platelets'],
      }
    : { name: 'drawn, 500 x 375', root: await draw(folder), split: 'train', classes: sceneClasses };
  const images = join(found.root, 'JPEGImages');
  const files = (await readdir(images)).filter((file) => file.endsWith('.jpg')).sort();
  const { name, ...source } = found;
  return { name, paths: files.slice(0, 32).map((file) => join(images, file)), source };
}

async function draw(folder: string): Promise<string> {
  await writeDrawnScenes(folder, { train: 64, valid: 1, test: 1, width: 500, height: 375 });
  return folder;
}
