import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { random } from '../../base/random.ts';
import type { Box, Size } from '../../boxes/box.ts';
import { makeDirectory } from '../../files/atomic-file.ts';
import { outline, type ShapeName, shapeNames } from './shapes.ts';

export const sceneClasses: readonly string[] = shapeNames;

export interface DrawnScenesOptions {
  /** The number of images in the split `train`; the same for the other splits. */
  train: number;
  valid: number;
  test: number;
  /**
   * The seed, an integer >= 0. The same seed draws the same images.
   * @default 1
   */
  seed?: number;
  /**
   * The width in pixels; the default height is 128.
   * @default 160
   */
  width?: number;
  height?: number;
  /**
   * The smallest and the largest object. The size is the side of a square with its area before the border cuts it, relative to the image.
   * Sizes are uniform on a logarithmic scale.
   * @default [0.08, 0.8]
   */
  sides?: readonly [min: number, max: number];
}

interface SceneObject {
  label: ShapeName;
  points: [x: number, y: number][];
  /** The box around the part inside the image. */
  box: Box;
  colour: string;
  isTruncated: boolean;
  /** True if an object in front hides most of it. */
  isDifficult: boolean;
}

interface Scene {
  width: number;
  height: number;
  objects: SceneObject[];
  svg: string;
  noise: number;
}

type Draw = (from: number, to: number) => number;

/** Streams of their own, because training draws from other streams of the same seed. */
const DRAWING = 1000;
const GRAIN = 1001;
/** The number of attempts to place an object. */
const MAX_TRIES = 5;

/**
 * Writes a data set in the layout of Pascal VOC's development kit: `JPEGImages`, `Annotations` and `ImageSets/Main`. The splits are
 * `train`, `val` and `test`. Each scene has up to four flat shapes of several colours, sizes and angles. Some overlap, or are cut off by
 * the border. The background is noisy, with lines. Resolves with the path of a data set file for it.
 */
export async function writeDrawnScenes(dir: string, options: DrawnScenesOptions): Promise<string> {
  const { train, valid, test, seed = 1, width = 160, height = 128, sides = [0.08, 0.8] } = options;
  const root = resolve(dir);
  for (const folder of ['JPEGImages', 'Annotations', 'ImageSets/Main']) await makeDirectory(join(root, folder));
  let index = 0;
  for (const [split, count] of Object.entries({ train, val: valid, test })) {
    const ids: string[] = [];
    for (let i = 0; i < count; i++) {
      const id = String(++index).padStart(6, '0');
      const scene = composeScene(seed, index, { width, height }, sides);
      await writeFile(join(root, 'JPEGImages', `${id}.jpg`), await paint(scene, seed, index));
      await writeFile(join(root, 'Annotations', `${id}.xml`), annotation(`${id}.jpg`, scene));
      ids.push(id);
    }
    await writeFile(join(root, 'ImageSets', 'Main', `${split}.txt`), ids.map((id) => `${id}\n`).join(''));
  }
  const config = join(root, 'scenes.yaml');
  await writeFile(config, configFile(root));
  return config;
}

function composeScene(seed: number, index: number, image: Size, [min, max]: readonly [number, number]): Scene {
  let draws = 0;
  const draw: Draw = (from, to) => from + (to - from) * random(seed, index, draws++, DRAWING);
  const side = () => Math.sqrt(image.width * image.height) * min * (max / min) ** draw(0, 1);
  // Later objects lie in front, so the smallest come last.
  const sizes = Array.from({ length: Math.floor(draw(1, 5)) }, side).sort((a, b) => b - a);
  const objects: SceneObject[] = [];
  for (const size of sizes) place(objects, () => composeObject(draw, image, size));
  const svg = drawScene(draw, image, objects);
  return { ...image, objects, svg, noise: draw(4, 24) };
}

/** Adds an object in front of the others if enough of each stays visible. */
function place(objects: SceneObject[], compose: () => SceneObject): void {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const object = compose();
    const hidden = objects.map(({ box }) => coverage(box, object.box));
    if (hidden.some((share) => share > 0.6)) continue;
    hidden.forEach((share, i) => {
      if (share > 0.35) objects[i]!.isDifficult = true;
    });
    objects.push(object);
    return;
  }
}

/** Composes an object that is `size` pixels wide or high. The border cuts off at most a third. */
function composeObject(draw: Draw, { width, height }: Size, size: number): SceneObject {
  const label = shapeNames[Math.floor(draw(0, shapeNames.length))]!;
  const [stretch, angle] = [draw(0.85, 1.18), draw(-0.3, 0.3)];
  const [x, y] = [draw(size * 0.35, width - size * 0.35), draw(size * 0.35, height - size * 0.35)];
  const points = outline(label).map(([u, v]): [number, number] => {
    const [a, b] = [(u * size * stretch) / 2, (v * size) / stretch / 2];
    return [x + a * Math.cos(angle) - b * Math.sin(angle), y + a * Math.sin(angle) + b * Math.cos(angle)];
  });
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const whole = { xmin: Math.min(...xs), ymin: Math.min(...ys), xmax: Math.max(...xs), ymax: Math.max(...ys) };
  const box = {
    xmin: Math.max(0, whole.xmin),
    ymin: Math.max(0, whole.ymin),
    xmax: Math.min(width, whole.xmax),
    ymax: Math.min(height, whole.ymax),
  };
  const isTruncated = area(box) < 0.98 * area(whole);
  // Each kind has its own fifth of the hues, because a backbone without pretraining learns shapes too slowly for a demo.
  const hue = ((shapeNames.indexOf(label) + draw(0.12, 0.88)) * 360) / shapeNames.length;
  const colour = `hsl(${Math.floor(hue)} ${Math.floor(draw(45, 100))}% ${Math.floor(draw(40, 68))}%)`;
  return { label, points, box, colour, isTruncated, isDifficult: false };
}

/** Draws a scene with muted background colours and thin lines. */
function drawScene(draw: Draw, { width, height }: Size, objects: readonly SceneObject[]): string {
  const muted = () => `hsl(${Math.floor(draw(0, 360))} ${Math.floor(draw(0, 35))}% ${Math.floor(draw(10, 90))}%)`;
  const stops = `<stop offset="0" stop-color="${muted()}"/><stop offset="1" stop-color="${muted()}"/>`;
  const turn = `gradientTransform="rotate(${Math.floor(draw(0, 360))} .5 .5)"`;
  const line = () => {
    const [x1, x2] = [draw(0, width), draw(0, width)].map(Math.round);
    const [y1, y2] = [draw(0, height), draw(0, height)].map(Math.round);
    return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${muted()}" stroke-width="${draw(0.5, 3).toFixed(1)}"/>`;
  };
  const lines = Array.from({ length: Math.floor(draw(0, 6)) }, line);
  const shapes = objects.map(({ points, colour }) => {
    const corners = points.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join(' ');
    return `<polygon points="${corners}" fill="${colour}" stroke="${muted()}" stroke-width="${draw(0, 1.5).toFixed(1)}"/>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">`,
    `<linearGradient id="g" ${turn}>${stops}</linearGradient><rect width="100%" height="100%" fill="url(#g)"/>`,
    ...lines,
    ...shapes,
    '</svg>',
  ].join('\n');
}

/** Renders a scene as JPEG, with noise of at most `scene.noise` grey values. */
async function paint({ svg, noise, width, height }: Scene, seed: number, index: number): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  const pixels = await sharp(Buffer.from(svg)).removeAlpha().raw().toBuffer();
  for (let pixel = 0; pixel < width * height; pixel++) {
    const grain = noise * (2 * random(seed, index, pixel, GRAIN) - 1);
    for (let i = 3 * pixel; i < 3 * pixel + 3; i++)
      pixels[i] = Math.min(255, Math.max(0, Math.round(pixels[i]! + grain)));
  }
  return await sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 92 })
    .toBuffer();
}

/** Writes a VOC annotation: whole pixels counted from 1, both ends included. */
function annotation(filename: string, { width, height, objects }: Scene): string {
  const flag = (value: boolean) => (value ? 1 : 0);
  const elements = objects.map(({ label, box, isTruncated, isDifficult }) =>
    [
      '\t<object>',
      `\t\t<name>${label}</name>`,
      '\t\t<pose>Unspecified</pose>',
      `\t\t<truncated>${flag(isTruncated)}</truncated>`,
      `\t\t<difficult>${flag(isDifficult)}</difficult>`,
      '\t\t<bndbox>',
      `\t\t\t<xmin>${Math.floor(box.xmin) + 1}</xmin>`,
      `\t\t\t<ymin>${Math.floor(box.ymin) + 1}</ymin>`,
      `\t\t\t<xmax>${Math.ceil(box.xmax)}</xmax>`,
      `\t\t\t<ymax>${Math.ceil(box.ymax)}</ymax>`,
      '\t\t</bndbox>',
      '\t</object>\n',
    ].join('\n'),
  );
  return `<annotation>
	<folder>JPEGImages</folder>
	<filename>${filename}</filename>
	<source>
		<database>Drawn scenes</database>
	</source>
	<size>
		<width>${width}</width>
		<height>${height}</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>
${elements.join('')}</annotation>
`;
}

function configFile(root: string): string {
  return [
    '# Drawn scenes in the layout of the VOC development kit.',
    `VOC_ROOT: ${JSON.stringify(root)}`,
    'TRAIN_SPLIT: train',
    'VALID_SPLIT: val',
    'TEST_SPLIT: test',
    `CLASSES: [${sceneClasses.map((name) => JSON.stringify(name)).join(', ')}]`,
    '',
  ].join('\n');
}

/** The share of a box that lies under another box. */
function coverage(box: Box, front: Box): number {
  const width = Math.min(box.xmax, front.xmax) - Math.max(box.xmin, front.xmin);
  const height = Math.min(box.ymax, front.ymax) - Math.max(box.ymin, front.ymin);
  return width > 0 && height > 0 ? (width * height) / area(box) : 0;
}

function area({ xmin, ymin, xmax, ymax }: Box): number {
  return (xmax - xmin) * (ymax - ymin);
}
