import type { Detector } from './detector.ts';
import { internalsOf } from './detector-internals.ts';
import type { ExportReport } from './export.ts';
import type { ExportOptions } from './export-options.ts';

/** Writes a detector to one file for other programs: `detector.export` as a function. */
export async function exportDetector(detector: Detector, path: string, options?: ExportOptions): Promise<ExportReport> {
  internalsOf(detector);
  return detector.export(path, options);
}
