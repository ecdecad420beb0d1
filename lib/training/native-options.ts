import type { TrainingOptions } from '../binding.ts';
import type { Dataset } from '../data/dataset.ts';
import type { DetectorConfig } from '../model/config.ts';
import { resolveLearning } from '../model/scores.ts';
import type { TensorInfo } from '../weights/safetensors.ts';
import { classWeightsOf } from './class-weights.ts';
import { groupKeys, parameterOptions } from './parameter-groups.ts';
import { type RunOptions, trainerTable } from './trainer-options.ts';

/** What a run is about. */
interface Subject {
  model: Pick<DetectorConfig, 'head' | 'scores'>;
  train: Dataset;
  tensors: readonly TensorInfo[];
}

/** What the addon is told of a run: the options that the table marks as `native`, and what is made of the others. */
export function nativeOptions(run: RunOptions, { model, train, tensors }: Subject): TrainingOptions {
  const { accumulate = 1, batchSize, classWeights, multiscale } = run;
  return {
    ...resolveLearning(run, model),
    ...passedOn(run),
    ...(groupKeys.some((key) => run[key] !== undefined) && { parameters: parameterOptions(tensors, run) }),
    ...(classWeights && { classWeights: classWeightsOf(classWeights, train) }),
    ...(multiscale && { sizesVary: true }),
    ...(accumulate > 1 && { microBatchSize: batchSize }),
  } as TrainingOptions;
}

/** Each option that has a value, under the addon's name for it. */
function passedOn(run: RunOptions): Partial<TrainingOptions> {
  const options = Object.entries(trainerTable).flatMap(([name, option]) => {
    const native = 'native' in option ? option.native : undefined;
    const value = run[name as keyof RunOptions] ?? undefined;
    return native === undefined || value === undefined ? [] : [[native, value]];
  });
  return Object.fromEntries(options);
}
