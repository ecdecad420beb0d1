import type { Size } from '../boxes/box.ts';
import type { DefaultBoxOptions } from './default-box-options.ts';

/** What the head looks at: the backbone's own maps (of a ConvNeXt the last, stride 32), or a pyramid from stride 8 upwards. */
export const featuresNames = ['last', 'pyramid'] as const;
export type Features = (typeof featuresNames)[number];

/** How the maps of a pyramid learn of each other: not at all, or from the top down (FPN, Lin et al. 2017). */
export const fusionNames = ['none', 'fpn'] as const;
export type Fusion = (typeof fusionNames)[number];

/** Of the maps of a ConvNeXt that a pyramid is made of. */
export const STRIDES: readonly number[] = [8, 16, 32];
/** As in native/models/feature_pyramid.cc: no map follows one of so few cells. */
const COARSEST_CELLS = 3;
/**
 * The smallest default box has so many cells of the finest map, within these parts of the image's side: off by half a cell both ways,
 * a box keeps IoU 0.5 with an object of its shape if its side is at least so many cells (analysis/default-box-proposal.ts).
 */
const FINEST_CELLS = 2.72;
const [MIN_FINEST_SCALE, MAX_FINEST_SCALE] = [0.04, 0.06];
/** SSD's last; above it, the larger square of that map covers the rest. */
const COARSEST_SCALE = 0.9;

/** The maps of RetinaNet's pyramid: P3 to P7. */
export const RETINANET_MAPS = 5;

/** The maps of a ConvNeXt's pyramid in cells, finest first; 6 for images of 640 x 640. */
export function pyramidMaps(size: Size): Size[] {
  return halveUntil(size, (maps) => {
    const { width, height } = maps.at(-1)!;
    return Math.max(width, height) <= COARSEST_CELLS;
  });
}

/** The same of RetinaNet's. */
export function retinaNetMaps(size: Size): Size[] {
  return halveUntil(size, (maps) => maps.length === RETINANET_MAPS);
}

/** The maps of a dense head: those of the backbone that every pyramid begins with. */
export function denseMaps({ width, height }: Size): Size[] {
  return STRIDES.map((stride) => ({ width: width / stride, height: height / stride }));
}

function halveUntil(size: Size, isComplete: (maps: readonly Size[]) => boolean): Size[] {
  const maps = denseMaps(size);
  while (!isComplete(maps)) {
    const last = maps.at(-1)!;
    maps.push({ width: Math.ceil(last.width / 2), height: Math.ceil(last.height / 2) });
  }
  return maps;
}

/**
 * Default boxes for a pyramid with maps of so many cells: SSD's aspect ratios, and scales that grow by one factor from map to map, as
 * the cells do, so that with the larger square of each map every size of object is equally well covered. SSD's and torchvision's
 * scales grow evenly instead (`defaultBoxScales`); from so small a first one that leaves a hole between the first two maps.
 */
export function pyramidDefaultBoxes(maps: readonly Size[]): DefaultBoxOptions {
  const count = maps.length;
  const cells = Math.min(maps[0]!.width, maps[0]!.height);
  const finest = Math.max(MIN_FINEST_SCALE, Math.min(MAX_FINEST_SCALE, FINEST_CELLS / cells));
  const factor = (COARSEST_SCALE / finest) ** (1 / Math.max(1, count - 1));
  const scales = maps.map((_, k) => Number((finest * factor ** k).toPrecision(3)));
  const ratiosOf = (k: number) => (k === 0 || k >= count - 2 ? [2] : [2, 3]);
  return { aspectRatios: scales.map((_, k) => ratiosOf(k)), scales: [...scales, 1], steps: [], clip: true };
}
