import { join } from 'node:path';
import sharp from 'sharp';
import { VocDataset } from '../../lib/data/voc-dataset.ts';
import { vocObject, vocXml, writeFiles } from './voc.ts';

export const squareClasses = ['red', 'blue'];

/** A data set of 96 x 64 images, each but every fifth with one red or blue square on grey. */
export async function writeSquares(folder: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const [x, y, side] = [5 + ((i * 17) % 60), 4 + ((i * 11) % 36), 18 + (i % 5)];
    const name = i % 2 === 0 ? 'red' : 'blue';
    const empty = i % 5 === 4;
    const square = { create: { width: side, height: side, channels: 3 as const, background: name } };
    const image = sharp({ create: { width: 96, height: 64, channels: 3, background: 'grey' } });
    const drawn = empty ? image : image.composite([{ input: square, left: x, top: y }]);
    const size = '<size><width>96</width><height>64</height><depth>3</depth></size>';
    const id = String(i).padStart(3, '0');
    await writeFiles(folder, {
      [`images/${id}.png`]: await drawn.png().toBuffer(),
      [`labels/${id}.xml`]: vocXml(empty ? '' : vocObject(name, x, y, x + side, y + side), size),
    });
  }
}

export async function openSquares(folder: string, count: number): Promise<VocDataset> {
  await writeSquares(folder, count);
  const classes = squareClasses;
  return VocDataset.open({ images: join(folder, 'images'), annotations: join(folder, 'labels'), classes });
}
