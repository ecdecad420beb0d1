import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Detection } from '../../boxes/detection.ts';
import type { OutputImage } from '../../data/formats/writer.ts';
import { fileNames, writeParts } from '../../data/write-dataset.ts';
import { makeDirectory, writeFileAtomic } from '../../files/atomic-file.ts';
import type { RgbImage } from '../../images/image.ts';
import { UsageError } from '../usage-error.ts';

/** Saves detections in the format of `--save`. */
export interface DetectionSaving {
  add(file: string, image: RgbImage, detections: readonly Detection[]): Promise<void>;
  finish(classes: readonly string[]): Promise<void>;
}

/** Opens the output folder. @throws {UsageError} for a folder with content, because it may hold corrected labels */
export async function openSaving(folder: string, format: string): Promise<DetectionSaving> {
  if ((await readdir(folder).catch(() => [])).length > 0)
    throw new UsageError(`--save: ${folder} is not empty, and may hold corrected labels. Name another --out-dir`);
  return format === 'crops' ? cropSaving(folder) : labelSaving(folder, format);
}

/** Saves a data set of the images, with detections as objects. */
function labelSaving(folder: string, format: string): DetectionSaving {
  const images: OutputImage[] = [];
  const nameOf = fileNames();
  return {
    async add(imagePath, { width, height }, objects) {
      images.push({ imagePath, fileName: nameOf(imagePath), width, height, objects });
    },
    async finish(classes) {
      await writeParts(folder, [{ name: 'all', images }], classes, { format });
    },
  };
}

/** Saves an image of each object, in a folder per class. */
function cropSaving(folder: string): DetectionSaving {
  const nameOf = fileNames();
  const folderOf = fileNames();
  const folders = new Map<string, string>();
  return {
    async add(file, image, detections) {
      for (const { label, box } of detections) {
        const name = folders.get(label) ?? folderOf(label);
        folders.set(label, name);
        const path = join(folder, name);
        await makeDirectory(path);
        const crop = await cropOf(image, box);
        if (crop) await writeFileAtomic(join(path, nameOf(file).replace(/\.[^.]*$/, '.png')), crop);
      }
    },
    async finish() {},
  };
}

/** Crops a box to PNG. The result is undefined for a box thinner than a pixel. */
async function cropOf({ data, width, height }: RgbImage, box: Detection['box']): Promise<Buffer | undefined> {
  const [left, top] = [Math.max(0, Math.floor(box.xmin)), Math.max(0, Math.floor(box.ymin))];
  const size = {
    width: Math.min(width, Math.ceil(box.xmax)) - left,
    height: Math.min(height, Math.ceil(box.ymax)) - top,
  };
  if (size.width < 1 || size.height < 1) return undefined;
  const { default: sharp } = await import('sharp');
  return await sharp(data, { raw: { width, height, channels: 3 } })
    .extract({ left, top, ...size })
    .png()
    .toBuffer();
}
