import { truncate, writeFile } from 'node:fs/promises';
import type { DetectorHandle, NativeAddon, StatePart } from './binding.ts';
import { DetectorError } from './errors.ts';
import { layoutSafetensors, readSafetensorsHeader, type TensorInfo, type TensorSpan } from './weights/safetensors.ts';

/** Moves a model's tensors between native memory and safetensors files: the format is TypeScript's, the bytes stay native. */

/** What a weights file had for a model. */
export interface WeightReport {
  loaded: number;
  /** Tensors of the model that the file lacks. */
  missing: string[];
  /** Tensors of the file that the model lacks. */
  unexpected: string[];
}

/** Writes one part of the state to a new file. */
export async function writeState(addon: NativeAddon, handle: DetectorHandle, part: StatePart, path: string) {
  const tensors = await addon.describeState(handle, part);
  const { header, tensors: spans, totalBytes } = layoutSafetensors(tensors);
  await writeFile(path, header);
  await truncate(path, totalBytes);
  await addon.writeState(handle, part, path, spans);
}

/** Reads one part of the state, all of it: a file of another model is refused before anything changes. */
export async function readState(addon: NativeAddon, handle: DetectorHandle, part: StatePart, path: string) {
  const { tensors } = await readSafetensorsHeader(path);
  const wanted = await addon.describeState(handle, part);
  const report = compare(wanted, tensors);
  checkComplete(path, report, wanted, tensors);
  if (report.unexpected.length > 0) {
    throw mismatch(path, `it holds ${list(report.unexpected)}, which the model lacks`);
  }
  await addon.readState(handle, part, path, tensors);
}

/**
 * Reads a backbone's weights from a safetensors file whose tensors have the names of the released state_dict
 * (`stages.0.0.dwconv.weight`) or of our checkpoints (the same behind `backbone.`).
 *
 * @throws {DetectorError} `WEIGHTS_MISMATCH` when a tensor is missing or has another shape; nothing has changed then.
 */
export async function readBackboneWeights(
  addon: NativeAddon,
  handle: DetectorHandle,
  path: string,
): Promise<WeightReport> {
  const { tensors } = await readSafetensorsHeader(path);
  const wanted = (await addon.describeState(handle, 'model')).filter(({ name }) => name.startsWith('backbone.'));
  const prefixed = tensors.some(({ name }) => name.startsWith('backbone.'));
  const spans = prefixed
    ? tensors
    : tensors.filter(isNoAlias).map((span) => ({ ...span, name: `backbone.${span.name}` }));
  const report = compare(wanted, spans);
  checkComplete(path, report, wanted, spans);
  const names = new Set(wanted.map(({ name }) => name));
  await addon.readState(
    handle,
    'model',
    path,
    spans.filter(({ name }) => names.has(name)),
  );
  return report;
}

/** The released state_dict registers its final norm a second time, with the same values. */
function isNoAlias({ name }: TensorSpan): boolean {
  return !name.startsWith('norms.3.');
}

function compare(wanted: readonly TensorInfo[], found: readonly TensorInfo[]): WeightReport {
  const wantedNames = new Set(wanted.map(({ name }) => name));
  const foundNames = new Set(found.map(({ name }) => name));
  const missing = [...wantedNames].filter((name) => !foundNames.has(name));
  const unexpected = [...foundNames].filter((name) => !wantedNames.has(name));
  return { loaded: foundNames.size - unexpected.length, missing, unexpected };
}

function checkComplete(
  path: string,
  report: WeightReport,
  wanted: readonly TensorInfo[],
  found: readonly TensorInfo[],
) {
  if (report.missing.length > 0) {
    throw mismatch(path, `it lacks ${list(report.missing)}`);
  }
  const shapes = new Map(wanted.map(({ name, shape }) => [name, shape.join(' x ')]));
  const other = found.find(({ name, shape }) => shapes.has(name) && shapes.get(name) !== shape.join(' x '));
  if (other) {
    throw mismatch(
      path,
      `"${other.name}" is ${other.shape.join(' x ')} there and ${shapes.get(other.name)} in the model`,
    );
  }
}

function mismatch(path: string, what: string): DetectorError {
  const remedy = 'Choose the backbone, classes and image size that the file was made for';
  return new DetectorError('WEIGHTS_MISMATCH', `${path} does not fit this model: ${what}. ${remedy}`);
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => `"${name}"`);
  const rest = names.length - shown.length;
  return `${shown.join(', ')}${rest > 0 ? ` and ${rest} more tensors` : ''}`;
}
