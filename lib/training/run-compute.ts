import { version } from '../base/version.ts';
import type { Detector } from '../detector/detector.ts';
import { internalsOf } from '../detector/detector-internals.ts';

/**
 * Where and how a run computes: with the same options it still has other numbers on another kind of device, in another precision, or,
 * on the CPU, with other threads, between which sums are divided. These are options of `Detector.load`.
 */
export interface RunCompute {
  device: 'cpu' | 'cuda';
  precision: Detector['precision'];
  /** On the CPU alone. */
  threads?: number;
}

/** How a detector computes now. */
export async function computeOf(detector: Detector): Promise<RunCompute> {
  const { precision } = detector;
  if (detector.device !== 'cpu') return { device: 'cuda', precision };
  return { device: 'cpu', precision, threads: await internalsOf(detector).addon.threads() };
}

/** The versions that compute. */
export function versionsOf(detector: Detector): { library: string; libtorch: string } {
  return { library: version, libtorch: internalsOf(detector).addon.libtorchVersion };
}
