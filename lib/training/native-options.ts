import type { TrainingOptions } from '../binding.ts';
import type { DetectorConfig } from '../model/config.ts';
import type { TensorInfo } from '../weights/safetensors.ts';
import { groupKeys, parameterOptions } from './parameter-groups.ts';
import type { RunOptions } from './trainer-options.ts';

/** The options of a run as the native side takes them; `tensors` are those of the model. */
export function nativeOptions(
  run: RunOptions,
  { loss, assigner }: Pick<DetectorConfig, 'loss' | 'assigner'>,
  tensors: readonly TensorInfo[],
): TrainingOptions {
  const { optimizer, fineTune, clipGradNorm, accumulate = 1, ema, dropPath } = run;
  const grouped = groupKeys.some((key) => run[key] !== undefined);
  return {
    optimizer,
    fineTune,
    ...(loss && { loss }),
    ...(assigner && { assigner }),
    ...(clipGradNorm !== null && { clipGradNorm }),
    ...(grouped && { parameters: parameterOptions(tensors, run) }),
    ...(accumulate > 1 && { microBatchSize: run.batchSize }),
    ...(ema !== undefined && { emaDecay: ema }),
    ...(dropPath !== undefined && { dropPath }),
  };
}
