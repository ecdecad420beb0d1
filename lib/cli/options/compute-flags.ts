import { type Command, Option } from 'commander';
import { withoutUndefined } from '../../base/check.ts';
import { type ComputeOptions, type Precision, precisions } from '../../detector/compute-options.ts';
import { device, integer } from './option-values.ts';

export interface ComputeFlags {
  device?: string;
  precision?: Precision;
  threads?: number;
}

/** Adds the options that say where and how a detector computes. */
export function addComputeOptions(command: Command): Command {
  return command
    .addOption(new Option('--device <name>', 'cpu, cuda or cuda:N (default: cpu)').argParser(device))
    .addOption(
      new Option(
        '--precision <name>',
        'what the backbone computes in; auto: bf16 where the hardware has it (default: auto)',
      ).choices(precisions),
    )
    .option('--threads <n>', 'compute threads (default: one per core)', integer(1));
}

/** The flags that were given, under the names of the library. */
export function computeOptions({ device, precision, threads }: ComputeFlags): ComputeOptions {
  return withoutUndefined({ device, precision, threads });
}
