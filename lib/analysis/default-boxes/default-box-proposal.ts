import type { Size } from '../../boxes/box.ts';
import { relativeSide } from '../../boxes/relative-side.ts';
import type { DefaultBoxOptions, FittedBoxOptions } from '../../model/default-box-options.ts';
import type { DefaultBoxLayout } from './default-box-grid.ts';
import { bestDefaultBox, defaultBoxGrids, type RelativeBox } from './default-box-grid.ts';
import { MATCH_IOU } from './default-box-matching.ts';
import { clusterShapes, type KMeansOptions, type Shape } from './k-means.ts';
import { spread } from './spread.ts';

/** The smallest useful ratio. Below it a box has IoU 0.8 with the square that each map has anyway. */
const MIN_RATIO = 1.25;

/**
 * The smallest side of a default box, in cells. A box of this side keeps IoU 0.5 with an object of its shape, half a cell away in both
 * directions. With the relative offset d: `(1 - d)^2 / (2 - (1 - d)^2) >= 1/2` for `d <= 1 - sqrt(2/3)`.
 */
export const MIN_CELLS = 0.5 / (1 - Math.sqrt(2 / 3));

export interface ProposalOptions extends KMeansOptions {
  /**
   * The largest number of aspect ratios per map.
   * @default as many as the map has now
   */
  ratios?: number | undefined;
}

/** The factors that change the scales in turn, coarse ones first. */
const STEPS = [1.3, 1.1, 1.03];
const MAX_ROUNDS = 8;
/** The number of objects in the search. The result is as good as with all objects, in a tenth of the time for VOC. */
const MAX_SEARCHED = 5000;

/**
 * Proposes default boxes for these maps that fit the objects. k-means over the shapes gives a size for each map, and one for the larger
 * square of the last map. k-means over the shapes near a map's scale, scaled to one area, gives the ratios of the map.
 *
 * k-means ignores positions. So a second candidate has scales that are not too small for the cells of their map. Hill climbing then changes
 * scale after scale, as long as more objects reach IoU 0.5. The configured default boxes are the result if no candidate is better. Scales
 * ascend with the maps, the smallest for the finest map.
 */
export function* proposeDefaultBoxes(
  objects: readonly RelativeBox[],
  configured: DefaultBoxOptions,
  layout: DefaultBoxLayout,
  { ratios, ...clustering }: ProposalOptions = {},
): Generator<void, DefaultBoxOptions> {
  if (objects.length === 0) return configured;
  const { centres } = yield* clusterShapes(objects, layout.maps.length + 1, clustering);
  const sides = centres.map(relativeSide);
  while (sides.length <= layout.maps.length) sides.push(sides.at(-1)!);
  const candidates = [configured];
  for (const start of [sides, raiseToCells(sides, layout.maps)]) {
    const options = yield* withRatios(objects, start, configured, { ratios, ...clustering });
    candidates.push(options, yield* refineScales(spread(objects, MAX_SEARCHED), options, layout));
  }
  return yield* bestOf(candidates, objects, layout);
}

/** Selects the candidate that covers the most objects, the first one among equals. */
export function* bestOf<Options extends FittedBoxOptions>(
  candidates: readonly Options[],
  objects: readonly RelativeBox[],
  layout: DefaultBoxLayout,
): Generator<void, Options> {
  let best: { options: Options; fit: Fit } | undefined;
  for (const options of candidates) {
    const fit = yield* fitOf(objects, options, layout);
    if (best === undefined || isBetter(fit, best.fit)) best = { options, fit };
  }
  return best!.options;
}

/** Hill climbing, one scale at a time, on the number of covered objects. */
function* refineScales(
  objects: readonly RelativeBox[],
  options: DefaultBoxOptions,
  layout: DefaultBoxLayout,
): Generator<void, DefaultBoxOptions> {
  let best = { options, fit: yield* fitOf(objects, options, layout) };
  for (const step of STEPS) {
    for (let [round, found] = [0, true]; found && round < MAX_ROUNDS; round++) {
      found = false;
      for (const [k, factor] of options.scales.flatMap((_, k) => [step, 1 / step].map((f) => [k, f] as const))) {
        const scales = best.options.scales.with(k, rounded(best.options.scales[k]! * factor));
        if (scales[k]! < (scales[k - 1] ?? 0) || scales[k]! > (scales[k + 1] ?? Number.POSITIVE_INFINITY)) continue;
        const changed = { ...best.options, scales };
        const fit = yield* fitOf(objects, changed, layout);
        if (!isBetter(fit, best.fit)) continue;
        best = { options: changed, fit };
        found = true;
      }
    }
  }
  return best.options;
}

interface Fit {
  covered: number;
  ious: number;
}

function* fitOf(
  objects: readonly RelativeBox[],
  options: FittedBoxOptions,
  { maps, imageSize }: DefaultBoxLayout,
): Generator<void, Fit> {
  const grids = defaultBoxGrids(options, maps, imageSize);
  let [covered, ious] = [0, 0];
  for (const object of objects) {
    const { iou } = bestDefaultBox(object, grids);
    if (iou >= MATCH_IOU) covered++;
    ious += iou;
    yield;
  }
  return { covered, ious };
}

function isBetter(a: Fit, b: Fit): boolean {
  return a.covered === b.covered ? a.ious > b.ious : a.covered > b.covered;
}

/** Raises sides that are too small for the cells of their map. */
function raiseToCells(sides: readonly number[], maps: readonly Size[]): number[] {
  const raised: number[] = [];
  for (const [k, side] of sides.entries()) {
    const { width, height } = maps[k] ?? maps.at(-1)!;
    raised.push(Math.max(side, raised[k - 1] ?? 0, Math.min(1, MIN_CELLS / Math.min(width, height))));
  }
  return raised;
}

/** Adds ratios. `sides` has one side per map and the side of the last map's larger square, sqrt(scale * next scale). */
function* withRatios(
  objects: readonly RelativeBox[],
  sides: readonly number[],
  { aspectRatios: configured, steps, clip }: DefaultBoxOptions,
  { ratios, ...clustering }: ProposalOptions,
): Generator<void, DefaultBoxOptions> {
  const maps = sides.length - 1;
  const scales = sides.slice(0, maps);
  const members: Shape[][] = scales.map(() => []);
  for (const object of objects) {
    members[nearestScale(relativeSide(object), scales)]!.push(elongated(object));
    yield;
  }
  const aspectRatios: number[][] = [];
  for (const [k, shapes] of members.entries()) {
    const limit = ratios ?? configured[k]!.length;
    // One more cluster for the square, which every map has.
    const { centres } = yield* clusterShapes(shapes, limit + 1, clustering);
    const found = centres.map(({ width, height }) => rounded(width / height)).filter((ratio) => ratio >= MIN_RATIO);
    aspectRatios.push([...new Set(found)].sort((a, b) => a - b).slice(0, limit));
  }
  const last = sides[maps]! ** 2 / scales[maps - 1]!;
  return { aspectRatios, scales: [...scales, last].map(rounded), steps: steps.slice(0, maps), clip };
}

/** A wide shape of area 1 with the object's ratio. Default boxes come in pairs, wide and tall. */
function elongated({ width, height }: Shape): Shape {
  const root = Math.sqrt(Math.max(width / height, height / width));
  return { width: root, height: 1 / root };
}

function nearestScale(side: number, scales: readonly number[]): number {
  const distances = scales.map((scale) => Math.abs(Math.log(side / scale)));
  return distances.indexOf(Math.min(...distances));
}

/** Rounds a number for readers of a file. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
