import { random } from '../../base/random.ts';

/** The sides of a box, relative to the image's width and height. */
export interface Shape {
  width: number;
  height: number;
}

export interface Clusters {
  /** The centres, smallest first. There are fewer than requested if there are fewer distinct shapes. */
  centres: Shape[];
  /** The mean IoU of a shape with its nearest centre. */
  meanIou: number;
}

export interface KMeansOptions {
  /**
   * The seed of the first centres.
   * @default 0
   */
  seed?: number;
  /**
   * The number of runs. The best one counts.
   * @default 5
   */
  restarts?: number;
}

/** A stream of its own, because training draws from other streams of the same seed. */
const CLUSTERING = 2000;
/** Iterations may never settle, because means do not minimise 1 - IoU. */
const MAX_ITERATIONS = 100;
/** The number of shapes between two pauses. */
const PAUSE = 1024;

/**
 * Clusters shapes by k-means with the distance 1 - IoU of boxes with one centre (Redmon and Farhadi, YOLO9000, 2017, section 2). This
 * distance treats errors of small and large boxes alike. k-means++ chooses the first centres (Arthur and Vassilvitskii, 2007).
 */
export function* clusterShapes(
  shapes: readonly Shape[],
  count: number,
  { seed = 0, restarts = 5 }: KMeansOptions = {},
): Generator<void, Clusters> {
  let best: Clusters = { centres: [], meanIou: 0 };
  for (let run = 0; run < restarts && shapes.length > 0; run++) {
    const found = yield* improve(shapes, yield* chooseCentres(shapes, count, seed, run));
    if (found.meanIou > best.meanIou) best = found;
  }
  best.centres.sort((a, b) => a.width * a.height - b.width * b.height);
  return best;
}

/** IoU of two boxes with the same centre. */
export function shapeIou(a: Shape, b: Shape): number {
  const intersection = Math.min(a.width, b.width) * Math.min(a.height, b.height);
  return intersection / (a.width * a.height + b.width * b.height - intersection);
}

/** Chooses first centres by k-means++. Each shape is drawn with the square of its distance from the chosen centres. */
function* chooseCentres(shapes: readonly Shape[], count: number, seed: number, run: number): Generator<void, Shape[]> {
  const weights = new Float64Array(shapes.length).fill(1);
  const centres: Shape[] = [];
  for (let total = shapes.length; centres.length < count && total > 0; ) {
    const target = random(seed, run, centres.length, CLUSTERING) * total;
    let [chosen, sum] = [-1, 0];
    for (let i = 0; i < shapes.length && sum <= target; i++) {
      // A shape that is a centre already is never drawn, whatever the rounding of the sum.
      if (weights[i]! > 0) chosen = i;
      sum += weights[i]!;
    }
    const centre = shapes[chosen]!;
    centres.push(centre);
    total = 0;
    for (const [i, shape] of shapes.entries()) {
      const distance = Math.max(0, 1 - shapeIou(shape, centre));
      weights[i] = centres.length === 1 ? distance ** 2 : Math.min(weights[i]!, distance ** 2);
      total += weights[i]!;
      if (i % PAUSE === 0) yield;
    }
  }
  return centres;
}

/** Lloyd's iterations, until every shape keeps its centre. */
function* improve(shapes: readonly Shape[], first: readonly Shape[]): Generator<void, Clusters> {
  let centres = [...first];
  const owners = new Int32Array(shapes.length).fill(-1);
  for (let iteration = 0; ; iteration++) {
    const sums = centres.map(() => ({ width: 0, height: 0, count: 0 }));
    let [ious, changes] = [0, 0];
    for (const [i, shape] of shapes.entries()) {
      const { index, iou } = nearest(shape, centres);
      if (owners[i] !== index) changes++;
      owners[i] = index;
      ious += iou;
      const sum = sums[index]!;
      sum.width += shape.width;
      sum.height += shape.height;
      sum.count++;
      if (i % PAUSE === 0) yield;
    }
    if (changes === 0 || iteration === MAX_ITERATIONS) return { centres, meanIou: ious / shapes.length };
    centres = sums.map(({ width, height, count }, k) =>
      count === 0 ? centres[k]! : { width: width / count, height: height / count },
    );
  }
}

function nearest(shape: Shape, centres: readonly Shape[]): { index: number; iou: number } {
  let [index, iou] = [0, -1];
  for (let k = 0; k < centres.length; k++) {
    const candidate = shapeIou(shape, centres[k]!);
    if (candidate > iou) [index, iou] = [k, candidate];
  }
  return { index, iou };
}
