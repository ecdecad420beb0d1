import type { ParameterOptions } from '../binding.ts';
import type { TensorInfo } from '../weights/safetensors.ts';
import type { RunOptions } from './trainer-options.ts';

/** The training options that tell parameters apart in an optimizer. */
export const groupKeys = ['weightDecay', 'decayWeightsOnly', 'backboneLearningRateFactor', 'layerDecay'] as const;
export type ParameterGroupOptions = Pick<RunOptions, 'optimizer' | (typeof groupKeys)[number]>;

/** torch.optim's. */
const DEFAULT_WEIGHT_DECAY = { adamw: 0.01, sgd: 0 };
const BACKBONE = 'backbone.';

/**
 * The learning rate factor and weight decay of each tensor of a model (names and shapes of its state). Biases, norms and layer scales,
 * which `decayWeightsOnly` leaves without decay, are the tensors of one dimension, as in ConvNeXt's and timm's optimizers.
 */
export function parameterOptions(tensors: readonly TensorInfo[], options: ParameterGroupOptions): ParameterOptions[] {
  const { optimizer, decayWeightsOnly = false, backboneLearningRateFactor: backbone = 1, layerDecay = 1 } = options;
  const { weightDecay = DEFAULT_WEIGHT_DECAY[optimizer] } = options;
  const blocks = tensors.map(({ name }) => /^backbone\.stages\.2\.(\d+)\./.exec(name)?.[1] ?? -1);
  const thirdStage = Math.max(...blocks.map(Number)) + 1;
  return tensors.map(({ name, shape }) => ({
    name,
    learningRateFactor: name.startsWith(BACKBONE) ? backbone * layerDecay ** layersAbove(name, thirdStage) : 1,
    weightDecay: decayWeightsOnly && shape.length <= 1 ? 0 : weightDecay,
  }));
}

/**
 * How many layers lie between a tensor of a ConvNeXt and what follows its last stage, as ConvNeXt's detection code
 * (`get_num_layer_layer_wise`, mmcv_custom/layer_decay_optimizer_constructor.py) counts them: the stem, the first stage, the second
 * one, each three blocks of the third, the last; a downsampling layer belongs to its stage, but the third's to its first blocks. The
 * final norm is above all of them. In a Tiny of 9 blocks in the third stage the stem's distance is 7, in the larger ones of 27 it is 13.
 */
function layersAbove(name: string, thirdStage: number): number {
  const last = 3 + Math.ceil(thirdStage / 3);
  const [, kind, stage, block] = /^backbone\.(stages|downsample_layers)\.(\d)\.(\d+)\./.exec(name) ?? [];
  if (kind === undefined) return 0;
  const firstOfStage = kind === 'downsample_layers' && stage === '0' ? 0 : [1, 2, 3, last][Number(stage)]!;
  const within = kind === 'stages' && stage === '2' ? Math.floor(Number(block) / 3) : 0;
  return last + 1 - firstOfStage - within;
}
