import type { Size } from '../../boxes/box.ts';
import { filledArea } from '../../boxes/letterbox.ts';
import { relativeSide, sideIndex, sideRanges } from '../../boxes/relative-side.ts';
import type { Sample } from '../../data/dataset.ts';
import { type BoxOptions, isPoints } from '../../model/default-box-options.ts';
import type { DefaultBoxLayout } from './default-box-grid.ts';
import { countDefaultBoxes, defaultBoxGrids, type RelativeBox } from './default-box-grid.ts';
import { MATCH_IOU, matchObjects, type ObjectMatch } from './default-box-matching.ts';
import { countPoints, matchPoints } from './point-matching.ts';

/** How the default boxes fit a group of objects. */
export interface CoverageRow {
  /** The name of the group: "all", a class, or a range of sizes. */
  name: string;
  objects: number;
  /** The number of objects that reach IoU 0.5 with a default box. For a head with points: the number of objects that contain a point. */
  covered: number;
  /** `covered / objects`; null without objects. */
  share: number | null;
  /** The number of objects with only one forced match in training: their best default box, or the nearest point. */
  forced: number;
  /** The number of objects that training ignores, because another object has taken their best default box. */
  unmatched: number;
}

/** How default boxes fit the objects of a data set: all objects, by class, and by size. */
export interface Coverage {
  /** The number of default boxes, or points, of one image. */
  boxes: number;
  /** The mean IoU of an object with its best default box, 0 to 1. It is null without objects, and for points, which have no size. */
  meanIou: number | null;
  all: CoverageRow;
  /** The rows by class, in the order of the class list. */
  byClass: CoverageRow[];
  /** The rows by COCO's small (to 32^2 square pixels), medium and large (from 96^2), at the size that the model sees. */
  byArea: CoverageRow[];
  /** The rows by `sideRanges`. */
  bySide: CoverageRow[];
}

/** An object as the matcher sees it. `label` is its position in the class list, from 1. */
export interface AnalysedObject extends RelativeBox {
  label: number;
}

const AREAS = ['small', 'medium', 'large'];

/** The objects of each image, relative to the image's size; with a layout, relative to the input of the model, a letterbox's grey included. */
export function* analysedObjects(
  samples: readonly Sample[],
  seen?: Pick<DefaultBoxLayout, 'imageSize' | 'resize'>,
): Generator<void, AnalysedObject[][]> {
  const images: AnalysedObject[][] = [];
  for (const { objects, ...sample } of samples) {
    const { width, height } = seen ? wholeInput(sample, seen) : sample;
    const relative = objects.map(({ labelIndex, box: { xmin, ymin, xmax, ymax } }) => ({
      x: (xmin + xmax) / 2 / width,
      y: (ymin + ymax) / 2 / height,
      width: (xmax - xmin) / width,
      height: (ymax - ymin) / height,
      label: labelIndex,
    }));
    images.push(relative);
    yield;
  }
  return images;
}

/** The size of a model's input in pixels of an image. */
function wholeInput(image: Size, { imageSize, resize }: Pick<DefaultBoxLayout, 'imageSize' | 'resize'>): Size {
  const area = filledArea(image, imageSize, resize);
  return {
    width: (image.width * imageSize.width) / area.width,
    height: (image.height * imageSize.height) / area.height,
  };
}

/** Matches the objects of every image with the default boxes or points, as training does. */
export function* measureCoverage(
  images: readonly (readonly AnalysedObject[])[],
  classes: readonly string[],
  options: BoxOptions,
  layout: DefaultBoxLayout,
): Generator<void, Coverage> {
  const { imageSize } = layout;
  const { boxes, match } = matcherOf(options, layout);
  const all = emptyRow('all');
  const byClass = classes.map(emptyRow);
  const byArea = AREAS.map(emptyRow);
  const bySide = sideRanges.map(({ name }) => emptyRow(name));
  let ious = 0;
  for (const objects of images) {
    const matches = yield* match(objects);
    for (const [i, { iou, positives }] of matches.entries()) {
      const object = objects[i]!;
      const area = object.width * imageSize.width * object.height * imageSize.height;
      const rows = [
        all,
        byClass[object.label - 1]!,
        byArea[areaIndex(area)]!,
        bySide[sideIndex(relativeSide(object))]!,
      ];
      for (const row of rows) {
        row.objects++;
        if (iou >= MATCH_IOU) row.covered++;
        if (positives === 'forced') row.forced++;
        if (positives === 'none') row.unmatched++;
      }
      ious += iou;
    }
    yield;
  }
  for (const row of [all, ...byClass, ...byArea, ...bySide]) {
    row.share = row.objects === 0 ? null : row.covered / row.objects;
  }
  const meanIou = all.objects === 0 || isPoints(options) ? null : ious / all.objects;
  return { boxes, meanIou, all, byClass, byArea, bySide };
}

type Match = Pick<ObjectMatch, 'iou' | 'positives'>;

/** Returns the number of boxes, and a function that matches the objects of an image. */
function matcherOf(
  options: BoxOptions,
  layout: DefaultBoxLayout,
): { boxes: number; match(objects: readonly AnalysedObject[]): Generator<void, readonly Match[]> } {
  if (isPoints(options)) {
    return { boxes: countPoints(layout.maps), match: (objects) => matchPoints(objects, options, layout) };
  }
  const grids = defaultBoxGrids(options, layout.maps, layout.imageSize);
  return { boxes: countDefaultBoxes(grids), match: (objects) => matchObjects(objects, grids) };
}

function emptyRow(name: string): CoverageRow {
  return { name, objects: 0, covered: 0, share: null, forced: 0, unmatched: 0 };
}

/** Returns the index of an area. In COCO a bound belongs to both ranges; here it belongs to the smaller one. */
function areaIndex(area: number): number {
  return area <= 32 ** 2 ? 0 : area <= 96 ** 2 ? 1 : 2;
}
