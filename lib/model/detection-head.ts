import type { AnchorOptions } from './default-box-options.ts';
import { type Features, type Fusion, RETINANET_MAPS } from './feature-pyramid.ts';
import type { AssignerName, LossOptions } from './loss-options.ts';
import type { PostprocessOptions } from './postprocess-options.ts';

/** torchvision's SSD head, or RetinaNet's (Lin et al. 2017): two towers of convolutions that serve all maps of a pyramid. */
export const headNames = ['ssd', 'retinanet'] as const;
export type HeadName = (typeof headNames)[number];

/** What of a model's configuration comes with its head. */
export interface HeadConfig {
  features: Features;
  fusion: Fusion;
  defaultBoxes: AnchorOptions;
  postprocess: PostprocessOptions;
  loss: LossOptions;
  assigner: AssignerName;
}

/** torchvision's `retinanet_resnet50_fpn`: anchors in three sizes to the octave, 32 to 512 pixels. */
export const retinaNet: HeadConfig = {
  features: 'pyramid',
  fusion: 'fpn',
  defaultBoxes: {
    sizes: Array.from({ length: RETINANET_MAPS }, (_, k) =>
      [0, 1 / 3, 2 / 3].map((octave) => Math.trunc(32 * 2 ** k * 2 ** octave)),
    ),
    aspectRatios: [0.5, 1, 2],
  },
  postprocess: { scoreThreshold: 0.05, nmsThreshold: 0.5, topkCandidates: 1000, maxDetections: 300, topkPer: 'map' },
  loss: { classification: 'focal', box: 'l1', backgroundNegatives: false },
  assigner: 'retinanet',
};
