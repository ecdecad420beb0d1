import { checkInteger } from '../base/check.ts';
import type { Size } from '../boxes/box.ts';
import type { AnchorOptions, BoxKind, BoxOptions, DefaultBoxOptions, PointOptions } from './default-box-options.ts';
import {
  denseMaps,
  type Features,
  type Fusion,
  pyramidDefaultBoxes,
  pyramidMaps,
  RETINANET_MAPS,
  retinaNetMaps,
  STRIDES,
} from './feature-pyramid.ts';
import type { AssignerName, BoxLossName, ClassLossName, Scores } from './loss-options.ts';
import type { PostprocessOptions } from './postprocess-options.ts';

/** Everything that is known of a kind of head, but for its mathematics: native/models/detection_head.h has that. */
export interface Head {
  /** The names of torchvision's classes, for the layer table. */
  title: string;
  module: string;
  /** What it predicts boxes from: default boxes relative to the image, anchors in pixels, or points. */
  boxes: BoxKind;
  /** The maps of a pyramid for images of a size, the finest first. */
  pyramidMaps(size: Size): Size[];
  /** The boxes of a pyramid's maps. */
  pyramidBoxes(maps: readonly Size[]): BoxOptions;
  /** The only features and fusion that it works on, with the reason; without it, those of the preset, and any. */
  needs?: { features: Features; fusion: Fusion; why: string };
  /** The only meaning that its scores can have, with the reason; without it, a softmax unless another is chosen. */
  scores?: { meaning: Scores; why: string };
  postprocess: PostprocessOptions;
  /** The class loss that teaches it what its scores mean; without it, the one of its scores. */
  classLoss?: ClassLossName;
  /** What a training has where it is not told otherwise, and, with a reason, whatever it is told. */
  boxLoss: BoxLossName;
  assigner: AssignerName;
  fixedLoss?: { why: string };
  /** What makes its maps of the backbone's. The width of a dense neck can be chosen. */
  neck: 'FeaturePyramid' | 'DenseNeck';
  /** Its parts, for the layer table: what each is called, and the names that its tensors begin with. */
  branches: { boxes: Branch; classes: Branch };
  /** Whether the article's model has names for its tensors. */
  hasArticleNames: boolean;
}

interface Branch {
  name: string;
  prefixes: readonly string[];
}

/** Of torchvision's heads. */
const torchvisionBranches = {
  boxes: { name: 'regression_head', prefixes: ['regression_head.'] },
  classes: { name: 'classification_head', prefixes: ['classification_head.'] },
};

/** torchvision's `ssd300_vgg16`, on the maps of the preset. */
const ssd = {
  title: 'SSD',
  module: 'SSDHead',
  boxes: 'default boxes',
  pyramidMaps,
  pyramidBoxes: pyramidDefaultBoxes as (maps: readonly Size[]) => DefaultBoxOptions,
  postprocess: { scoreThreshold: 0.01, nmsThreshold: 0.45, topkCandidates: 400, maxDetections: 200 },
  boxLoss: 'smooth-l1',
  assigner: 'ssd',
  neck: 'FeaturePyramid',
  branches: torchvisionBranches,
  hasArticleNames: true,
} satisfies Head;

/** torchvision's `retinanet_resnet50_fpn` (Lin et al. 2017): two towers of convolutions that serve all maps of a pyramid. */
const retinanet = {
  title: 'RetinaNet',
  module: 'RetinaNetHead',
  boxes: 'anchors',
  pyramidMaps: retinaNetMaps,
  pyramidBoxes: retinaNetAnchors,
  needs: { features: 'pyramid', fusion: 'fpn', why: 'which serves all maps of a fused pyramid alike' },
  scores: { meaning: 'sigmoid', why: 'whose scores are sigmoids' },
  postprocess: { scoreThreshold: 0.05, nmsThreshold: 0.5, topkCandidates: 1000, maxDetections: 300, topkPer: 'map' },
  boxLoss: 'l1',
  assigner: 'retinanet',
  neck: 'FeaturePyramid',
  branches: torchvisionBranches,
  hasArticleNames: false,
} satisfies Head;

/** RTMDet's (Lyu et al. 2022): one point in every cell, from which it predicts the distances of a box's sides. */
const dense = {
  title: 'RTMDet',
  module: 'DenseHead',
  boxes: 'points',
  pyramidMaps: denseMaps,
  pyramidBoxes: (): PointOptions => ({ strides: [...STRIDES] }),
  needs: { features: 'pyramid', fusion: 'none', why: 'which has a pyramid of its own' },
  scores: { meaning: 'sigmoid', why: 'whose scores are sigmoids' },
  postprocess: { scoreThreshold: 0.001, nmsThreshold: 0.65, topkCandidates: 1000, maxDetections: 300, topkPer: 'map' },
  classLoss: 'quality',
  boxLoss: 'giou',
  assigner: 'soft',
  fixedLoss: { why: 'which learns how well each of its boxes fits' },
  neck: 'DenseNeck',
  branches: {
    boxes: { name: 'reg', prefixes: ['', 'one_to_one.'].flatMap((p) => [`${p}reg_convs.`, `${p}rtm_reg.`]) },
    classes: { name: 'cls', prefixes: ['', 'one_to_one.'].flatMap((p) => [`${p}cls_convs.`, `${p}rtm_cls.`]) },
  },
  hasArticleNames: false,
} satisfies Head;

/**
 * torchvision's SSD head; RetinaNet's (Lin et al. 2017), two towers of convolutions that serve all maps of a pyramid; or RTMDet's dense
 * one (Lyu et al. 2022), with points instead of default boxes.
 */
export const headNames = ['ssd', 'retinanet', 'dense'] as const;
export type HeadName = (typeof headNames)[number];

/** The heads by name: the one place in TypeScript where what differs between them stands. */
export const heads = { ssd, retinanet, dense } satisfies Record<HeadName, Head>;

export function headOf(name: HeadName | undefined): Head {
  return heads[name ?? 'ssd'];
}

/** Of the maps of a dense head. */
export const headWidths = { min: 8, max: 1024 };

/** @throws {TypeError|RangeError} */
export function checkHeadWidth(name: string, value: unknown): number {
  return checkInteger(name, value, headWidths.min, headWidths.max);
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
