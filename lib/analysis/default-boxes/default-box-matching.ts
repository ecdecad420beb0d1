import {
  bestDefaultBox,
  type DefaultBoxGrid,
  type DefaultBoxMatch,
  type RelativeBox,
  visitDefaultBoxes,
} from './default-box-grid.ts';

/** SSD's matcher takes a default box for an object from this IoU on. */
export const MATCH_IOU = 0.5;

export interface ObjectMatch {
  /** Of the best default box, whoever gets it. */
  iou: number;
  /**
   * What training gives the object: default boxes that overlap it enough (and its best one), that one alone, which is forced to
   * it, or nothing, because another object has taken that one too.
   */
  positives: 'overlapping' | 'forced' | 'none';
}

interface Claim {
  object: number;
  iou: number;
}

/**
 * SSD's matcher (native/train/matcher.cc) on one image's objects: each default box goes to the object with the largest IoU, the
 * first among equals, if that reaches 0.5; then each object gets its best default box, the later object where two want one.
 * Equal to the core up to rounding, and to the choice among default boxes that are equally good.
 */
export function* matchObjects(
  objects: readonly RelativeBox[],
  grids: readonly DefaultBoxGrid[],
): Generator<void, ObjectMatch[]> {
  const claims = new Map<number, Claim>();
  const best: DefaultBoxMatch[] = [];
  for (const [object, box] of objects.entries()) {
    best.push(bestDefaultBox(box, grids));
    yield* claimOverlapping(claims, object, box, grids);
  }
  const overlapping = ownersOf(claims);
  for (const [object, match] of best.entries()) claims.set(numberOf(match, grids), { object, iou: match.iou });
  const owning = ownersOf(claims);
  return best.map(({ iou }, object) => ({
    iou,
    positives: !owning.has(object) ? 'none' : overlapping.has(object) ? 'overlapping' : 'forced',
  }));
}

function* claimOverlapping(
  claims: Map<number, Claim>,
  object: number,
  box: RelativeBox,
  grids: readonly DefaultBoxGrid[],
): Generator<void> {
  let first = 0;
  for (const grid of grids) {
    const cells = grid.columns * grid.rows;
    for (const shape of grid.shapes) {
      const offset = first;
      visitDefaultBoxes(box, grid, shape, MATCH_IOU, (cell, iou) => {
        const claim = claims.get(offset + cell);
        if (claim === undefined || iou > claim.iou) claims.set(offset + cell, { object, iou });
      });
      first += cells;
      yield;
    }
  }
}

function ownersOf(claims: ReadonlyMap<number, Claim>): Set<number> {
  const owners = new Set<number>();
  for (const { object } of claims.values()) owners.add(object);
  return owners;
}

/** A number for each default box: by map, shape and cell. */
function numberOf({ grid, shape, column, row }: DefaultBoxMatch, grids: readonly DefaultBoxGrid[]): number {
  const before = grids
    .slice(0, grid)
    .reduce((sum, { columns, rows, shapes }) => sum + columns * rows * shapes.length, 0);
  const { columns, rows } = grids[grid]!;
  return before + shape * columns * rows + row * columns + column;
}
