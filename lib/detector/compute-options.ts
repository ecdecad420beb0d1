import { checkInteger, checkOneOf, checkString, wrongArgument } from '../base/check.ts';

/** What a backbone computes in: float32, bfloat16, or what is faster on the device. */
export const precisions = ['auto', 'fp32', 'bf16'] as const;
export type Precision = (typeof precisions)[number];

/** Where and how a detector computes; not a part of the model. */
export interface ComputeOptions {
  /** `cpu` (default), `cuda`, or `cuda:N`. */
  device?: string;
  /**
   * What the backbone computes in: `fp32`, `bf16`, or `auto` (default), which is bf16 where the device multiplies it in hardware.
   * Weights, head, loss and optimizer are float32 in any case.
   */
  precision?: Precision;
  /** Threads that the native lane computes with from now on, for every detector of the process; default: one per core. */
  threads?: number;
}

export const computeKeys = ['device', 'precision', 'threads'] as const;

/** The same with its defaults. @throws {TypeError|RangeError} naming the option */
export function checkComputeOptions(
  options: ComputeOptions,
): Required<Omit<ComputeOptions, 'threads'>> & Pick<ComputeOptions, 'threads'> {
  const { device = 'cpu', precision = 'auto', threads } = options;
  return {
    device: checkDevice(device),
    precision: checkOneOf('precision', precision, precisions),
    ...(threads === undefined ? {} : { threads: checkInteger('threads', threads, 1, 1024) }),
  };
}

function checkDevice(value: unknown): string {
  const device = checkString('device', value);
  if (!/^(cpu|cuda(:\d{1,2})?)$/.test(device)) {
    throw new RangeError(wrongArgument('device', '"cpu", "cuda" or "cuda:N"', device));
  }
  return device;
}
