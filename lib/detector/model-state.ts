import { DetectorError } from '../base/errors.ts';
import type { DetectorHandle, NativeAddon, StatePart } from '../binding.ts';
import type { DetectorConfig } from '../model/config.ts';
import { backboneOf, isTapNorm } from '../weights/key-maps.ts';
import type { OpenedWeights } from '../weights/open-weights.ts';
import {
  readSafetensorsHeader,
  type SafetensorsHeader,
  type TensorInfo,
  type TensorSpan,
  writeSafetensors,
} from '../weights/safetensors.ts';
import { type ClassRows, classRows, describeRows, isOfClasses, type OtherClasses } from './class-rows.ts';

/** Moves a model's tensors between native memory and files: formats and names are TypeScript's, the bytes stay native. */

/** The report on loading a weights file into a model. */
export interface WeightReport {
  /** The program that wrote the file, identified by the names in it. */
  source: string;
  /** The number of the model's tensors that were loaded. */
  loaded: number;
  /** Whether the head was loaded too, and the feature pyramid if the model has one. The file has to contain them, and they have to fit. */
  head: boolean;
  /**
   * The tensors of the model that keep their initial values, because the file lacks them. They belong to a head or a feature pyramid, or
   * are norms of the pyramid's finer maps, which no release has.
   */
  missing: string[];
  /** The tensors of the file that the model does not need, such as a classifier's. */
  unexpected: string[];
  /** The tensors of a head for other classes. The model's own head then stays as it was. */
  wrongShape: { name: string; found: number[]; expected: number[] }[];
  /**
   * There where the file is a detector's of other classes: all else of its head and its pyramid is filled, and of the classes those that
   * both have. `head` is false then.
   */
  classes?: ClassRows;
}

const FLOATS = ['F64', 'F32', 'F16', 'BF16'];

/** Writes one part of the state to a new file. */
export async function writeState(addon: NativeAddon, handle: DetectorHandle, part: StatePart, path: string) {
  const tensors = await addon.describeState(handle, part);
  await writeSafetensors(path, tensors, {}, (spans) => addon.writeState(handle, part, path, spans));
}

/** Reads one part of the state, all of it: a file of another model is refused before anything changes. `header` is the file's, if it is known. */
export async function readState(
  addon: NativeAddon,
  handle: DetectorHandle,
  part: StatePart,
  path: string,
  header?: SafetensorsHeader,
) {
  const { tensors } = header ?? (await readSafetensorsHeader(path));
  const wanted = await addon.describeState(handle, part);
  checkComplete(path, compare(wanted, tensors));
  await addon.readState(handle, part, path, tensors);
}

/**
 * Refuses a checkpoint whose weights are those of a smaller model than its manifest describes, before that model takes memory. What else
 * differs, `readState` finds.
 * @throws {DetectorError} `WEIGHTS_MISMATCH`
 */
export function checkSize(
  path: string,
  { tensors }: SafetensorsHeader,
  { backbone }: Pick<DetectorConfig, 'backbone'>,
  classes: readonly string[],
): void {
  const outputs = tensors.filter(({ name }) => name.startsWith('head.')).map(({ shape }) => shape[0] ?? 0);
  const most = outputs.reduce((a, b) => Math.max(a, b), 0);
  if (most < classes.length) {
    const what = `its head.classification_head has at most ${most} outputs, and the manifest names ${classes.length} classes`;
    throw mismatch(path, `${what}: files of two checkpoints are mixed`);
  }
  const found = backboneOf(tensors);
  if (backbone !== 'torchscript' && found !== backbone)
    throw mismatch(path, `its backbone is ${found ?? 'of another kind'}, and the manifest says ${backbone}`);
}

/**
 * Fills a model from a weights file of any kind (`openWeights`): the backbone, all of it but for the norms that only a pyramid has;
 * and neck and head, each all or nothing, when the file has one that fits; of a head of other classes all but the classes that are not
 * the file's. Nothing changes unless the backbone fits.
 *
 * @throws {DetectorError} `WEIGHTS_NOT_FOUND`, `WEIGHTS_INVALID`; `WEIGHTS_MISMATCH` for another backbone, which it names if it knows it
 */
export async function readWeights(
  addon: NativeAddon,
  handle: DetectorHandle,
  path: string,
  classes?: OtherClasses,
): Promise<WeightReport> {
  const { openWeights } = await import('../weights/open-weights.ts');
  const opened = await openWeights(path);
  if (opened.source === undefined) throw mismatch(path, describeUnknown(opened));
  const wanted = await addon.describeState(handle, 'model');
  const part = <T extends TensorInfo>(tensors: readonly T[], prefix: string) =>
    tensors.filter(({ name }) => name.startsWith(prefix));

  const backbone = part(opened.tensors, 'backbone.');
  const norms = checkBackbone(path, part(wanted, 'backbone.'), backbone);
  const neck = optionalPart(part(wanted, 'neck.'), part(opened.tensors, 'neck.'));
  const neckFits = neck.spans.length === part(wanted, 'neck.').length;
  const [ourHead, theirHead] = [part(wanted, 'head.'), withTwin(part(wanted, 'head.'), part(opened.tensors, 'head.'))];
  const mixed = classes && neckFits ? headOfOtherClasses(ourHead, theirHead, classes) : undefined;
  const head = mixed ? { spans: mixed, report: nothing } : optionalPart(ourHead, theirHead);
  const reports = [norms, neck.report, head.report];
  const unneeded = new Set(norms.unexpected);
  const spans = [...backbone.filter(({ name }) => !unneeded.has(name)), ...neck.spans, ...head.spans];
  const integers = spans.find(({ dtype }) => !FLOATS.includes(dtype));
  if (integers) throw mismatch(path, `"${integers.name}" is of type ${integers.dtype}, expected ${FLOATS.join(', ')}`);
  await addon.readState(handle, 'model', path, spans);
  return {
    source: opened.source,
    loaded: new Set(spans.map(({ name }) => name)).size,
    head: !mixed && head.spans.length > 0 && neckFits,
    missing: reports.flatMap(({ missing }) => missing),
    unexpected: [...opened.unneeded, ...reports.flatMap(({ unexpected }) => unexpected)],
    wrongShape: reports.flatMap(({ wrongShape }) => wrongShape),
    ...(mixed && { classes: describeRows(classes!) }),
  };
}

const nothing: Comparison = { missing: [], unexpected: [], wrongShape: [] };

/** All of a head but the classes that the file has not; undefined where the rest does not fit either. */
function headOfOtherClasses(
  wanted: readonly TensorInfo[],
  found: readonly TensorSpan[],
  classes: OtherClasses,
): TensorSpan[] | undefined {
  const shared = (tensors: readonly TensorInfo[]) => tensors.filter(({ name }) => !isOfClasses(name));
  const names = ({ name }: TensorInfo) => name;
  if (found.map(names).sort().join() !== wanted.map(names).sort().join()) return undefined;
  if (!isSame(compare(shared(wanted), shared(found)))) return undefined;
  const byName = new Map(wanted.map((tensor) => [tensor.name, tensor]));
  const rows = found.map((span) =>
    isOfClasses(span.name) ? classRows(byName.get(span.name)!, span, classes) : [span],
  );
  return rows.includes(undefined) ? undefined : rows.flatMap((each) => each!);
}

const TWIN = 'head.one_to_one.';

/** A head with a second branch begins it as a copy of the first, where the file has none; one without has no use for it. */
function withTwin(wanted: readonly TensorInfo[], found: readonly TensorSpan[]): TensorSpan[] {
  const own = found.filter(({ name }) => !name.startsWith(TWIN));
  if (!wanted.some(({ name }) => name.startsWith(TWIN))) return own;
  if (own.length < found.length) return [...found];
  return [...own, ...own.map((span) => ({ ...span, name: span.name.replace('head.', TWIN) }))];
}

/** What a file has of a part that it may lack: all that the model wants, or nothing. */
function optionalPart(wanted: readonly TensorInfo[], found: TensorSpan[]): { spans: TensorSpan[]; report: Comparison } {
  const report = compare(found.length > 0 ? wanted : [], found);
  return { spans: isSame(report) ? found : [], report };
}

/**
 * A smaller ConvNeXt is a part of a larger one: what the file has and the model has not is as wrong as the reverse. The norms of a
 * pyramid alone may be there or not: they are what the result tells of.
 */
function checkBackbone(path: string, wanted: readonly TensorInfo[], found: readonly TensorInfo[]): Comparison {
  const all = compare(wanted, found);
  const report = {
    missing: all.missing.filter((name) => !isTapNorm(name)),
    unexpected: all.unexpected.filter((name) => !isTapNorm(name)),
    wrongShape: all.wrongShape,
  };
  if (isSame(report)) return { missing: all.missing, unexpected: all.unexpected, wrongShape: [] };
  const [theirs, ours] = [backboneOf(found), backboneOf(wanted)];
  if (theirs !== undefined && theirs !== ours) {
    const model = ours ?? 'of another kind';
    throw new DetectorError(
      'WEIGHTS_MISMATCH',
      `${path} does not fit this model: this file is ${theirs}, the model's backbone is ${model}. Use the backbone ${theirs} ` +
        `(--backbone ${theirs})`,
    );
  }
  checkComplete(path, report);
  return report;
}

function isSame({ missing, unexpected, wrongShape }: Comparison): boolean {
  return missing.length + unexpected.length + wrongShape.length === 0;
}

function describeUnknown({ unneeded }: OpenedWeights): string {
  const isVit = unneeded.some((name) =>
    /^(model\.)?(blocks\.0|patch_embed|cls_token|embeddings|layer\.0)\b/.test(name),
  );
  if (isVit) {
    return (
      `it holds a vision transformer (${list(unneeded)}), and this program knows ConvNeXt by name. A transformer can be used as a ` +
      'TorchScript file'
    );
  }
  return unneeded.length === 0 ? 'it holds no tensor' : `it holds ${list(unneeded)}: no names of a DINOv3 ConvNeXt`;
}

type Comparison = Pick<WeightReport, 'missing' | 'unexpected' | 'wrongShape'>;

function compare(wanted: readonly TensorInfo[], found: readonly TensorInfo[]): Comparison {
  const shapes = new Map(wanted.map(({ name, shape }) => [name, shape]));
  const names = new Set(found.map(({ name }) => name));
  const wrongShape = found.flatMap(({ name, shape }) => {
    const expected = shapes.get(name);
    return expected && expected.join() !== shape.join() ? [{ name, found: shape, expected }] : [];
  });
  return {
    missing: [...shapes.keys()].filter((name) => !names.has(name)),
    unexpected: [...names].filter((name) => !shapes.has(name)),
    wrongShape,
  };
}

function checkComplete(path: string, { missing, unexpected, wrongShape: [other] }: Comparison): void {
  if (missing.length > 0) throw mismatch(path, `it lacks ${list(missing)}`);
  if (other) {
    const { name, found, expected } = other;
    throw mismatch(path, `"${name}" is ${found.join(' x ')} there and ${expected.join(' x ')} in the model`);
  }
  if (unexpected.length > 0) throw mismatch(path, `it holds ${list(unexpected)}, which the model lacks`);
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
