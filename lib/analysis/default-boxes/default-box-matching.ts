import {
  bestDefaultBox,
  type DefaultBoxGrid,
  type DefaultBoxMatch,
  type RelativeBox,
  visitDefaultBoxes,
} from './default-box-grid.ts';

/** The IoU from which SSD's matcher assigns a default box to an object. */
export const MATCH_IOU = 0.5;

export interface ObjectMatch {
  /** The IoU with the best default box, whichever object gets it. */
  iou: number;
  /**
   * The default boxes that the object gets in training. `overlapping`: the boxes that overlap it enough, and its best one. `forced`: only
   * its best one. `none`: another object has taken its best one.
   */
  positives: 'overlapping' | 'forced' | 'none';
}

interface Claim {
  object: number;
  iou: number;
}

/**
 * Matches the objects of one image like SSD's matcher (native/train/matcher.cc). Each default box goes to the object with the largest IoU,
 * the first among equals, if that reaches 0.5. Then each object gets its best default box. If two objects want the same box, the later one
 * gets it. The result equals the core up to rounding and the choice among equally good boxes.
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

/** A unique number for a default box, from its map, shape and cell. */
function numberOf({ grid, shape, column, row }: DefaultBoxMatch, grids: readonly DefaultBoxGrid[]): number {
  const before = grids
    .slice(0, grid)
    .reduce((sum, { columns, rows, shapes }) => sum + columns * rows * shapes.length, 0);
  const { columns, rows } = grids[grid]!;
  return before + shape * columns * rows + row * columns + column;
}
