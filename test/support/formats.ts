import { solid, vocObject, vocXml } from './voc.ts';

/** An image of the data set that the tests write in every format: 64 x 48 pixels, boxes with whole numbers. */
export interface Scene {
  name: string;
  objects: { label: string; box: [xmin: number, ymin: number, xmax: number, ymax: number] }[];
}

export const WIDTH = 64;
export const HEIGHT = 48;
export const classes = ['cat', 'dog', '猫 big'];

/** One image without objects, one with two, one with three. */
export const scenes: readonly Scene[] = [
  {
    name: 'a',
    objects: [
      { label: 'dog', box: [1, 2, 30, 40] },
      { label: 'cat', box: [8, 4, 16, 24] },
    ],
  },
  { name: 'b', objects: [] },
  {
    name: 'my photo 1',
    objects: [
      { label: '猫 big', box: [0, 0, 64, 48] },
      { label: 'dog', box: [32, 24, 64, 48] },
      { label: 'dog', box: [4, 4, 8, 8] },
    ],
  },
];

export type Files = Record<string, string | Uint8Array>;

/** The images of the scenes, each of another colour, in a folder. */
export async function imageFiles(folder: string, list = scenes): Promise<Files> {
  const files: Files = {};
  for (const [i, { name }] of list.entries()) {
    const colour = { r: 40 * i + 20, g: 90, b: 200 - 30 * i };
    files[`${folder}${name}.jpg`] = await solid(WIDTH, HEIGHT, colour).jpeg().toBuffer();
  }
  return files;
}

/** The same data set as the tool of each format writes it. */
export const written: Record<string, () => Promise<Files>> = {
  voc: async () => ({
    ...(await imageFiles('images/')),
    ...Object.fromEntries(
      scenes.map(({ name, objects }) => [
        `annotations/${name}.xml`,
        vocXml(objects.map(({ label, box }) => vocObject(label, ...box)).join('')),
      ]),
    ),
  }),
  coco: async () => ({
    ...(await imageFiles('images/')),
    'annotations/instances.json': JSON.stringify(cocoOf(scenes)),
  }),
  yolo: async () => ({
    ...(await imageFiles('images/train/')),
    'data.yaml': `path: .\ntrain: images/train\nnames:\n${classes.map((name, i) => `  ${i}: ${name}`).join('\n')}\n`,
    ...Object.fromEntries(
      scenes
        .filter(({ objects }) => objects.length > 0)
        .map((scene) => [`labels/train/${scene.name}.txt`, yoloOf(scene)]),
    ),
  }),
  labelme: async () => ({
    ...(await imageFiles('')),
    ...Object.fromEntries(scenes.map((scene) => [`${scene.name}.json`, JSON.stringify(labelmeOf(scene), null, 2)])),
  }),
  cvat: async () => ({ ...(await imageFiles('images/')), 'annotations.xml': cvatOf(scenes) }),
  'label-studio': async () => ({
    ...(await imageFiles('images/')),
    'project-1.json': JSON.stringify(scenes.map(labelStudioOf)),
  }),
  imagefolder: async () => ({
    ...(await imageFiles('train/')),
    'train/metadata.jsonl': scenes.map((scene) => JSON.stringify(imageFolderOf(scene))).join('\n'),
  }),
};

export function cocoOf(list: readonly Scene[], firstId = 1) {
  const annotations = list.flatMap(({ objects }, image) =>
    objects.map(({ label, box: [xmin, ymin, xmax, ymax] }) => ({
      image_id: image + 7,
      category_id: classes.indexOf(label) + firstId,
      bbox: [xmin, ymin, xmax - xmin, ymax - ymin],
      area: (xmax - xmin) * (ymax - ymin),
      segmentation: [],
      iscrowd: 0,
    })),
  );
  return {
    info: { description: 'made by a test' },
    licenses: [],
    images: list.map(({ name }, i) => ({ id: i + 7, file_name: `${name}.jpg`, width: WIDTH, height: HEIGHT })),
    annotations: annotations.map((annotation, i) => ({ id: i + 1, ...annotation })),
    categories: classes.map((name, i) => ({ id: i + firstId, name, supercategory: '' })),
  };
}

export function yoloOf({ objects }: Scene): string {
  return objects
    .map(({ label, box: [xmin, ymin, xmax, ymax] }) => {
      const sides = [
        (xmin + xmax) / 2 / WIDTH,
        (ymin + ymax) / 2 / HEIGHT,
        (xmax - xmin) / WIDTH,
        (ymax - ymin) / HEIGHT,
      ];
      return `${classes.indexOf(label)} ${sides.map((side) => side.toFixed(9)).join(' ')}\n`;
    })
    .join('');
}

export function labelmeOf({ name, objects }: Scene) {
  return {
    version: '5.4.1',
    flags: {},
    shapes: objects.map(({ label, box: [xmin, ymin, xmax, ymax] }) => ({
      label,
      // Drawn from the lower right to the upper left.
      points: [
        [xmax, ymax],
        [xmin, ymin],
      ],
      group_id: null,
      shape_type: 'rectangle',
      flags: {},
    })),
    imagePath: `${name}.jpg`,
    imageData: null,
    imageHeight: HEIGHT,
    imageWidth: WIDTH,
  };
}

export function cvatOf(list: readonly Scene[]): string {
  const images = list.map(({ name, objects }, i) => {
    const boxes = objects.map(
      ({ label, box: [xmin, ymin, xmax, ymax] }) =>
        `    <box label="${label}" source="manual" occluded="0" xtl="${xmin.toFixed(2)}" ytl="${ymin.toFixed(2)}" xbr="${xmax.toFixed(2)}" ybr="${ymax.toFixed(2)}" z_order="0">\n    </box>\n`,
    );
    return `  <image id="${i}" name="${name}.jpg" width="${WIDTH}" height="${HEIGHT}">\n${boxes.join('')}  </image>\n`;
  });
  const labels = classes.map(
    (name) => `<label><name>${name}</name><color>#fff</color><attributes></attributes></label>`,
  );
  return `<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta><job><labels>${labels.join('\n')}</labels></job></meta>\n${images.join('')}</annotations>\n`;
}

export function labelStudioOf({ name, objects }: Scene, index: number) {
  const result = objects.map(({ label, box: [xmin, ymin, xmax, ymax] }) => ({
    original_width: WIDTH,
    original_height: HEIGHT,
    image_rotation: 0,
    value: {
      ...{ x: (100 * xmin) / WIDTH, y: (100 * ymin) / HEIGHT },
      ...{ width: (100 * (xmax - xmin)) / WIDTH, height: (100 * (ymax - ymin)) / HEIGHT, rotation: 0 },
      rectanglelabels: [label],
    },
    ...{ id: `r${index}`, from_name: 'label', to_name: 'image', type: 'rectanglelabels', origin: 'manual' },
  }));
  return {
    id: index + 1,
    annotations: [{ id: index + 1, was_cancelled: false, ground_truth: false, result }],
    data: { image: `/data/upload/1/ab12cd3${index}-${name}.jpg` },
    predictions: [],
  };
}

export function imageFolderOf({ name, objects }: Scene) {
  return {
    file_name: `${name}.jpg`,
    objects: {
      bbox: objects.map(({ box: [xmin, ymin, xmax, ymax] }) => [xmin, ymin, xmax - xmin, ymax - ymin]),
      categories: objects.map(({ label }) => label),
    },
  };
}
