import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { native } from '../../../lib/binding.ts';
import type { Box, Size } from '../../../lib/boxes/box.ts';
import { DataLoader } from '../../../lib/data/data-loader.ts';
import { Dataset } from '../../../lib/data/dataset.ts';
import { openDataset } from '../../../lib/data/open-dataset.ts';
import type { Sample } from '../../../lib/data/sample.ts';
import { uprightBox } from '../../../lib/data/write-dataset.ts';
import { decodeImage, type RgbImage } from '../../../lib/images/image.ts';
import type { Files } from '../../support/formats.ts';
import { brief } from '../../support/open-files.ts';
import { temporaryFolder, vocObject, vocXml, writeFiles } from '../../support/voc.ts';

const upright: Size = { width: 64, height: 48 };
const box: Box = { xmin: 8, ymin: 8, xmax: 24, ymax: 40 };
const encodings = ['jpg', 'png', 'webp'] as const;
const orientations = [1, 2, 3, 4, 5, 6, 7, 8] as const;

/** The upright image, black with a white box, as a camera of that orientation stores it. */
async function photograph(orientation: number, encoding: (typeof encodings)[number]): Promise<Buffer> {
  const stored = orientation >= 5 ? { width: upright.height, height: upright.width } : upright;
  const data = Buffer.alloc(stored.width * stored.height * 3);
  for (let y = 0; y < stored.height; y++) {
    for (let x = 0; x < stored.width; x++) {
      const at = uprightBox({ xmin: x, ymin: y, xmax: x + 1, ymax: y + 1 }, stored, orientation);
      const inside = at.xmin >= box.xmin && at.xmax <= box.xmax && at.ymin >= box.ymin && at.ymax <= box.ymax;
      data.fill(inside ? 255 : 0, 3 * (y * stored.width + x), 3 * (y * stored.width + x) + 3);
    }
  }
  const image = sharp(data, { raw: { ...stored, channels: 3 } }).withMetadata({ orientation });
  const encoded = { jpg: image.jpeg({ quality: 100 }), png: image.png(), webp: image.webp({ lossless: true }) };
  return await encoded[encoding].toBuffer();
}

/** Where the white box is. */
function boundsOf({ data, width, height }: RgbImage): Box {
  const bounds = { xmin: width, ymin: height, xmax: 0, ymax: 0 };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[3 * (y * width + x)]! < 128) continue;
      bounds.xmin = Math.min(bounds.xmin, x);
      bounds.ymin = Math.min(bounds.ymin, y);
      bounds.xmax = Math.max(bounds.xmax, x + 1);
      bounds.ymax = Math.max(bounds.ymax, y + 1);
    }
  }
  return bounds;
}

/** One image with one object, as each format writes it. */
const formats: Record<string, (image: string, size: Size, box: Box) => Files> = {
  voc: (image, { width, height }, { xmin, ymin, xmax, ymax }) => ({
    [image.replace(/\.\w+$/, '.xml')]: vocXml(
      vocObject('dog', xmin, ymin, xmax, ymax),
      `<size><width>${width}</width><height>${height}</height></size>`,
    ),
  }),
  coco: (image, size, { xmin, ymin, xmax, ymax }) => ({
    'instances.json': JSON.stringify({
      images: [{ id: 1, file_name: image, ...size }],
      annotations: [{ id: 1, image_id: 1, category_id: 1, bbox: [xmin, ymin, xmax - xmin, ymax - ymin] }],
      categories: [{ id: 1, name: 'dog' }],
    }),
  }),
  yolo: (image, { width, height }, { xmin, ymin, xmax, ymax }) => ({
    'classes.txt': 'dog\n',
    [image.replace(/\.\w+$/, '.txt')]:
      `0 ${(xmin + xmax) / 2 / width} ${(ymin + ymax) / 2 / height} ${(xmax - xmin) / width} ${(ymax - ymin) / height}\n`,
  }),
  labelme: (image, { width, height }, { xmin, ymin, xmax, ymax }) => ({
    [image.replace(/\.\w+$/, '.json')]: JSON.stringify({
      shapes: [{ label: 'dog', points: [[xmin, ymin], [xmax, ymax]], shape_type: 'rectangle' }], // biome-ignore format: two points
      ...{ imagePath: image, imageWidth: width, imageHeight: height },
    }),
  }),
  cvat: (image, { width, height }, { xmin, ymin, xmax, ymax }) => ({
    'annotations.xml': `<annotations><image id="0" name="${image}" width="${width}" height="${height}"><box label="dog" xtl="${xmin}" ytl="${ymin}" xbr="${xmax}" ybr="${ymax}"/></image></annotations>`,
  }),
  'label-studio': (image, { width, height }, { xmin, ymin, xmax, ymax }) => ({
    'tasks.json': JSON.stringify([
      {
        data: { image },
        annotations: [
          {
            result: [
              {
                ...{ type: 'rectanglelabels', original_width: width, original_height: height },
                value: {
                  ...{ x: (100 * xmin) / width, y: (100 * ymin) / height, rectanglelabels: ['dog'] },
                  ...{ width: (100 * (xmax - xmin)) / width, height: (100 * (ymax - ymin)) / height },
                },
              },
            ],
          },
        ],
      },
    ]),
  }),
  imagefolder: (image, size, { xmin, ymin, xmax, ymax }) => ({
    'metadata.jsonl': JSON.stringify({
      ...{ file_name: image, ...size },
      objects: { bbox: [[xmin, ymin, xmax - xmin, ymax - ymin]], categories: ['dog'] },
    }),
  }),
};

async function open(
  format: string,
  image: Buffer,
  encoding: string,
  stated = upright,
  at = box,
  exif?: 'apply' | 'ignore',
) {
  const folder = await temporaryFolder();
  const name = `photo.${encoding}`;
  await writeFiles(folder, { [name]: image, ...formats[format]!(name, stated, at) });
  return await openDataset(folder, { exif });
}

/** The boxes of a sample and of what is seen in its image as training decodes it. */
async function seen(sample: Sample) {
  const image = await decodeImage(sample.imagePath, { autoOrient: !sample.stored });
  const { width, height } = image;
  const rounded = Object.fromEntries(
    Object.entries(sample.objects[0]!.box).map(([key, side]) => [key, Math.round(side)]),
  );
  return {
    stated: { width: sample.width, height: sample.height },
    size: { width, height },
    rounded,
    bounds: boundsOf(image),
  };
}

describe.each(Object.keys(formats))('%s', (format) => {
  it.each(encodings)('reads all eight orientations of %s upright, as detection does', async (encoding) => {
    for (const orientation of orientations) {
      const { samples, issues } = await open(format, await photograph(orientation, encoding), encoding);
      expect(issues, `${orientation}`).toEqual([]);
      expect(await seen(samples[0]!), `${orientation}`).toEqual({
        ...{ stated: upright, size: upright, rounded: box, bounds: box },
      });
    }
  });

  const stored = { width: upright.height, height: upright.width };

  it.skipIf(format === 'yolo').each([5, 6, 7, 8])(
    'takes the boxes for the stored image where only its size is stated: orientation %d',
    async (orientation) => {
      const image = await photograph(orientation, 'jpg');
      const at = boundsOf(await decodeImage(image));
      const { samples, issues } = await open(format, image, 'jpg', stored, at);
      expect(brief(issues).map(([, kind, action]) => [kind, action])).toEqual([['orientation', 'kept']]);
      expect(await seen(samples[0]!)).toEqual({ stated: stored, size: stored, rounded: at, bounds: at });
    },
  );

  it('is overridden by exif', async () => {
    const image = await photograph(3, 'png');
    const at = boundsOf(await decodeImage(image));
    const ignored = await open(format, image, 'png', upright, at, 'ignore');
    expect(await seen(ignored.samples[0]!)).toMatchObject({ rounded: at, bounds: at });
    const turned = await photograph(6, 'png');
    const applied = await open(format, turned, 'png', stored, box, 'apply');
    expect(applied.samples[0]).toMatchObject(upright);
    expect(applied.samples[0]!.stored).toBeUndefined();
  });
});

it('training and preview show the model the same pixels for the same boxes', async () => {
  const folder = await temporaryFolder();
  const samples: { imagePath: string; objects: { label: string; box: Box }[] }[] = [];
  for (const encoding of encodings) {
    for (const orientation of orientations) {
      const imagePath = join(folder, `${orientation}.${encoding}`);
      await writeFiles(folder, { [`${orientation}.${encoding}`]: await photograph(orientation, encoding) });
      samples.push({ imagePath, objects: [{ label: 'dog', box }] });
    }
  }
  const dataset = await Dataset.from(samples, { classes: ['dog'] });
  const addon = await native();
  const size = { width: 128, height: 96 };
  let images = 0;
  for await (const { handle, objects } of new DataLoader(addon, dataset, { size, batchSize: 1, workers: 1 }).epoch(0)) {
    const bounds = boundsOf({ data: addon.readBatch(handle), ...size });
    expect(objects[0]![0]!.box).toEqual(bounds);
    images++;
  }
  expect(images).toBe(24);
});
