import { checkString, wrongArgument } from '../base/check.ts';
import { choice, integer, kind } from '../base/kinds.ts';
import { type Given, option, pick, type Resolved, resolve } from '../base/option.ts';

/** The precisions of a backbone: float32, bfloat16, or the faster one on the device. */
export const precisions = ['auto', 'fp32', 'bf16'] as const;
export type Precision = (typeof precisions)[number];

const group = 'Compute';

/** The options that say where and how a detector computes. */
export const computeTable = {
  /**
   * The device: `cpu`, `cuda`, or `cuda:N`.
   * @default 'cpu'
   */
  device: option(
    kind<string>(checkDevice, 'cpu, cuda or cuda:N', { placeholder: '<name>', schema: { type: 'string' } }),
    {
      default: 'cpu',
      group,
      help: 'cpu, cuda or cuda:N',
    },
  ),
  /**
   * The precision of the backbone: `fp32`, `bf16`, or `auto`. `auto` is bf16 if the device multiplies it in hardware. Weights, head, loss
   * and optimizer are always float32.
   * @default 'auto'
   */
  precision: option(choice(precisions), {
    default: 'auto',
    group,
    help: 'what the backbone computes in; auto: bf16 where the hardware has it',
  }),
  /**
   * The number of compute threads from now on, for every detector of the process.
   * @default one per core
   */
  threads: option(integer({ min: 1, max: 1024 }), { unset: 'one per core', group, help: 'compute threads' }),
};

/** The options that say where and how a detector computes. They are not part of the model. */
export interface ComputeOptions extends Given<typeof computeTable> {}

export const computeKeys = ['device', 'precision', 'threads'] as const;

/** The same with its defaults. @throws {TypeError|RangeError} naming the option */
export function checkComputeOptions({ device, precision, threads }: ComputeOptions): Resolved<typeof computeTable> {
  return resolve(pick(computeTable, computeKeys), { device, precision, threads });
}

function checkDevice(name: string, value: unknown): string {
  const device = checkString(name, value);
  if (/^(cpu|cuda(:\d{1,2})?)$/.test(device)) return device;
  throw new RangeError(wrongArgument(name, '"cpu", "cuda" or "cuda:N"', device));
}
