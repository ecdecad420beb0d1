import { readFile } from 'node:fs/promises';
import type { EvaluatedImage } from '../../lib/evaluation/evaluated-image.ts';
import { fixture } from './shared.ts';

/** A detection `[label, score, xmin, ymin, xmax, ymax]` and an object `[label, xmin, ymin, xmax, ymax]`. */
export type DetectionRow = readonly [number, number, number, number, number, number];
export type ObjectRow = readonly [number, number, number, number, number];
type Flags = Pick<EvaluatedImage['groundTruth'], 'areas' | 'crowd' | 'ignore' | 'difficult'>;

export function evaluatedImage(
  detections: readonly DetectionRow[],
  objects: readonly ObjectRow[],
  flags: Flags = {},
): EvaluatedImage {
  return {
    detections: {
      labels: Int32Array.from(detections, ([label]) => label),
      scores: Float64Array.from(detections, ([, score]) => score),
      boxes: Float64Array.from(detections.flatMap(([, , ...box]) => box)),
    },
    groundTruth: {
      labels: Int32Array.from(objects, ([label]) => label),
      boxes: Float64Array.from(objects.flatMap(([, ...box]) => box)),
      ...flags,
    },
  };
}

interface CocoAnnotation {
  image_id: number;
  category_id: number;
  bbox: [number, number, number, number];
  area: number;
  iscrowd: number;
  score: number;
}

/** A fixture pair in COCO's own format, images in the order of the file. */
export async function cocoFixture(truth: string, results: string): Promise<{ id: number; image: EvaluatedImage }[]> {
  const { images, annotations } = JSON.parse(await readFile(fixture(truth), 'utf8'));
  const detections: CocoAnnotation[] = JSON.parse(await readFile(fixture(results), 'utf8'));
  return images.map(({ id }: { id: number }) => {
    const objects = (annotations as CocoAnnotation[]).filter((annotation) => annotation.image_id === id);
    const image = evaluatedImage(
      detections
        .filter((detection) => detection.image_id === id)
        .map(({ category_id, score, bbox }) => [category_id, score, ...corners(bbox)]),
      objects.map(({ category_id, bbox }) => [category_id, ...corners(bbox)]),
      {
        areas: Float64Array.from(objects, ({ area }) => area),
        crowd: Uint8Array.from(objects, ({ iscrowd }) => iscrowd),
      },
    );
    return { id, image };
  });
}

export function corners([x, y, width, height]: readonly [number, number, number, number]) {
  return [x, y, x + width, y + height] as const;
}

/** mulberry32: the same numbers from the same seed, everywhere; test/reference/random_set.py has it too. */
export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface RandomSetOptions {
  images: number;
  /** Objects have labels 2 to classes + 1; detections have a class without objects too, label 1. */
  classes: number;
  /** At most, per image. */
  objects: number;
  /** Coordinates are multiples of this, so that equal IoUs and IoUs on a threshold are common; 0 for none. */
  grid: number;
  /** Share of the objects that are crowds, ignored, and difficult, each. */
  flagged: number;
}

/** As `random_set` of test/reference/random_set.py: objects of COCO's three sizes, several detections around each, false detections, and many equal scores. */
export function randomSet(seed: number, options: RandomSetOptions): EvaluatedImage[] {
  const next = mulberry32(seed);
  const integer = (count: number) => Math.floor(next() * count);
  const snap = (value: number) => (options.grid > 0 ? Math.round(value / options.grid) * options.grid : value);
  const flags = (count: number) => Uint8Array.from({ length: count }, () => (next() < options.flagged ? 1 : 0));
  return Array.from({ length: options.images }, () => {
    const detections: DetectionRow[] = [];
    const objects: ObjectRow[] = [];
    for (let n = integer(options.objects + 1); n > 0; n--) {
      const label = 2 + integer(options.classes);
      const [x, y, size] = [snap(next() * 200), snap(next() * 200), [8, 24, 60, 150, 300][integer(5)]!];
      const [width, height] = [snap(size * (0.6 + next())), snap(size * (0.6 + next()))];
      objects.push([label, x, y, x + width, y + height]);
      for (let copies = integer(4); copies > 0; copies--) {
        const [left, top] = [snap(x + (next() - 0.5) * width * 0.3), snap(y + (next() - 0.5) * height * 0.3)];
        const [right, bottom] = [width, height].map((side) => snap(side * (0.85 + 0.3 * next())));
        const shown = next() < 0.1 ? 1 + integer(options.classes + 1) : label;
        detections.push([shown, integer(20) / 20, left, top, left + right!, top + bottom!]);
      }
    }
    for (let n = integer(6); n > 0; n--) {
      const [x, y, width, height] = [snap(next() * 200), snap(next() * 200), snap(next() * 120), snap(next() * 120)];
      detections.push([1 + integer(options.classes + 1), next(), x, y, x + width, y + height]);
    }
    const areas = Float64Array.from(objects, ([, xmin, ymin, xmax, ymax]) => (xmax - xmin) * (ymax - ymin) * 0.7);
    return evaluatedImage(detections, objects, {
      areas,
      crowd: flags(objects.length),
      ignore: flags(objects.length),
      difficult: flags(objects.length),
    });
  });
}
