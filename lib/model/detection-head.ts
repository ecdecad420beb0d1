import type { Size } from '../boxes/box.ts';
import type { AnchorOptions, BoxOptions, DefaultBoxOptions } from './default-box-options.ts';
import {
  type Features,
  type Fusion,
  pyramidDefaultBoxes,
  pyramidMaps,
  RETINANET_MAPS,
  retinaNetMaps,
} from './feature-pyramid.ts';
import type { AssignerName, BoxLossName, Scores } from './loss-options.ts';
import type { PostprocessOptions } from './postprocess-options.ts';

/** Everything that is known of a kind of head, but for its mathematics: native/models/detection_head.h has that. */
export interface Head {
  /** The names of torchvision's classes, for the layer table. */
  title: string;
  module: string;
  /** Anchors in pixels, or default boxes relative to the image. */
  hasAnchors: boolean;
  /** The maps of a pyramid for images of a size, the finest first. */
  pyramidMaps(size: Size): Size[];
  /** The boxes of a pyramid's maps. */
  pyramidBoxes(maps: readonly Size[]): BoxOptions;
  /** The only features and fusion that it works on, with the reason; without it, those of the preset, and any. */
  needs?: { features: Features; fusion: Fusion; why: string };
  /** The only meaning that its scores can have, with the reason; without it, a softmax unless another is chosen. */
  scores?: { meaning: Scores; why: string };
  postprocess: PostprocessOptions;
  /** What a training has where it is not told otherwise. */
  boxLoss: BoxLossName;
  assigner: AssignerName;
  /** Whether the article's model has names for its tensors. */
  hasArticleNames: boolean;
}

/** torchvision's `ssd300_vgg16`, on the maps of the preset. */
const ssd = {
  title: 'SSD',
  module: 'SSDHead',
  hasAnchors: false,
  pyramidMaps,
  pyramidBoxes: pyramidDefaultBoxes as (maps: readonly Size[]) => DefaultBoxOptions,
  postprocess: { scoreThreshold: 0.01, nmsThreshold: 0.45, topkCandidates: 400, maxDetections: 200 },
  boxLoss: 'smooth-l1',
  assigner: 'ssd',
  hasArticleNames: true,
} satisfies Head;

/** torchvision's `retinanet_resnet50_fpn` (Lin et al. 2017): two towers of convolutions that serve all maps of a pyramid. */
const retinanet = {
  title: 'RetinaNet',
  module: 'RetinaNetHead',
  hasAnchors: true,
  pyramidMaps: retinaNetMaps,
  pyramidBoxes: retinaNetAnchors,
  needs: { features: 'pyramid', fusion: 'fpn', why: 'which serves all maps of a fused pyramid alike' },
  scores: { meaning: 'sigmoid', why: 'whose scores are sigmoids' },
  postprocess: { scoreThreshold: 0.05, nmsThreshold: 0.5, topkCandidates: 1000, maxDetections: 300, topkPer: 'map' },
  boxLoss: 'l1',
  assigner: 'retinanet',
  hasArticleNames: false,
} satisfies Head;

/** torchvision's SSD head, or RetinaNet's (Lin et al. 2017): two towers of convolutions that serve all maps of a pyramid. */
export const headNames = ['ssd', 'retinanet'] as const;
export type HeadName = (typeof headNames)[number];

/** The heads by name: the one place in TypeScript where what differs between them stands. */
export const heads = { ssd, retinanet } satisfies Record<HeadName, Head>;

export function headOf(name: HeadName | undefined): Head {
  return heads[name ?? 'ssd'];
}

/** Anchors in three sizes to the octave, 32 to 512 pixels. */
export function retinaNetAnchors(): AnchorOptions {
  return {
    sizes: Array.from({ length: RETINANET_MAPS }, (_, k) =>
      [0, 1 / 3, 2 / 3].map((octave) => Math.trunc(32 * 2 ** k * 2 ** octave)),
    ),
    aspectRatios: [0.5, 1, 2],
  };
}
