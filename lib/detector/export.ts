import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checkInteger, checkKeys, checkOneOf, checkString } from '../base/check.ts';
import { ensureWritableDirectory, replaceFile } from '../files/atomic-file.ts';
import { withBackground } from '../model/class-list.ts';
import type { DetectorConfig } from '../model/config.ts';
import { articleNames, releasedNames } from '../weights/key-maps.ts';
import { type TensorSpan, writeSafetensors } from '../weights/safetensors.ts';
import type { TorchFileTensor } from '../weights/torch/pth-writer.ts';
import { type Detector, internalsOf } from './detector.ts';

/** What a detector can be written as; `ExportOptions.format` says what is in each. */
export const exportFormats = ['safetensors', 'pth', 'torchscript'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** What of a detector is written. */
export const exportParts = ['model', 'backbone'] as const;
export type ExportPart = (typeof exportParts)[number];

/** What `exportDetector` writes. */
export interface ExportOptions {
  /**
   * `safetensors`: tensors by the names of our checkpoints, with classes, image size, backbone, preset and what else was chosen in
   * the metadata.
   * `pth`: a file of `torch.save` as the article's training writes it, `{'epoch', 'model_state_dict'}`, for the `load_state_dict` of
   * its model and `torch.load(weights_only=True)`.
   * `torchscript`: a program for `torch.jit.load` (Python) and `torch::jit::load` (C++), on the CPU until it is moved. The model's
   * `forward` takes images [N, 3, height, width], any N, RGB floats of 0 to 1, and gives for each a dictionary of `boxes` [D, 4] (xyxy
   * in pixels of the input), `scores` [D] and `labels` [D] (int64, an index into its `classes`, which begin with `__background__`), best first. Thresholds and limits are
   * those of `config.postprocess`. The backbone's `forward` takes normalised images and gives its map, or a list of maps for a pyramid.
   */
  format: ExportFormat;
  /** `model` (default), or `backbone`: that alone, under the names of DINOv3's released state_dict, or, as `torchscript`, its program. */
  part?: ExportPart;
  /** What a whole `pth` says of the epochs trained; default: what the checkpoint says that the detector was loaded from, or 0. */
  epoch?: number;
}

/** What was written. */
export interface ExportReport {
  /** Names in the file; the article's and the released models have two for each tensor of the final norm. */
  tensors: number;
  /** Of the file. */
  bytes: number;
}

/**
 * Writes a detector's weights to one file for other programs: whole or not at all, instead of what has that name.
 *
 * A detector with a TorchScript backbone can be written as `torchscript`, with that program in it, or as whole safetensors
 * (`backbone.` + the names in its program, without the program): neither the article nor the release has names for it.
 *
 * Rejects with `TypeError`/`RangeError` for wrong options, with `OUTPUT_NOT_WRITABLE`, with `DISPOSED`, or with `WEIGHTS_MISMATCH` for a
 * TorchScript backbone whose `forward` does not say what it returns.
 */
export async function exportDetector(detector: Detector, path: string, options: ExportOptions): Promise<ExportReport> {
  const { addon, handle, trainedEpochs } = internalsOf(detector);
  const { format, part, epoch } = checkOptions(options, trainedEpochs);
  checkString('path', path);
  checkExportable(detector, format, part);
  const { writeTorchFile } = await import('../weights/torch/pth-writer.ts');
  const { describeWeights } = await import('./weights-metadata.ts');
  const namesOf = namesIn(format, part);
  const state = await addon.describeState(handle, 'model');
  const tensors = state
    .map((tensor) => ({ ...tensor, stateDictNames: namesOf(tensor.name) }))
    .filter(({ stateDictNames }) => stateDictNames.length > 0);

  await ensureWritableDirectory(dirname(path));
  await replaceFile(path, async (temporary) => {
    const fill = (spans: TensorSpan[]) => addon.writeState(handle, 'model', temporary, spans);
    if (format === 'torchscript') await writeTorchScript(detector, part, temporary);
    else if (format === 'pth') await writeTorchFile(temporary, tensors, part === 'model' ? { epoch } : {}, fill);
    else await writeNamed(temporary, tensors, describeWeights(detector), fill);
  });
  return { tensors: tensors.flatMap(({ stateDictNames }) => stateDictNames).length, bytes: (await stat(path)).size };
}

/** What the file calls a tensor of ours: none, one or more names. */
function namesIn(format: ExportFormat, part: ExportPart): (name: string) => string[] {
  if (format === 'torchscript' && part === 'backbone')
    return (name) => (name.startsWith('backbone.') ? [name.slice('backbone.'.length)] : []);
  if (part === 'backbone') return releasedNames;
  return format === 'pth' ? articleNames : (name) => [name];
}

async function writeTorchScript(detector: Detector, part: ExportPart, path: string): Promise<void> {
  const { addon, handle } = internalsOf(detector);
  const { classes, config } = detector;
  if (part === 'backbone') await addon.writeBackboneScript(handle, path);
  else await addon.writeDetectorScript(handle, path, { ...config.postprocess, classes: withBackground(classes) });
}

/** @throws RangeError for a format or part that has no names for this detector's tensors */
function checkExportable({ config }: Detector, format: ExportFormat, part: ExportPart): void {
  if (part === 'model') checkWholeExportable(config, format);
  if (config.backbone !== 'torchscript' || format === 'torchscript') return;
  if (format === 'safetensors' && part === 'model') return;
  const names = part === 'backbone' ? "DINOv3's release" : "the article's model";
  throw new RangeError(
    `Expected a ConvNeXt for the ${part} as ${format}, found a TorchScript backbone, whose tensors have no names in ${names}. ` +
      'Export it as torchscript, or the whole model as safetensors',
  );
}

/** @throws RangeError for a format whose detections would be others */
function checkWholeExportable(config: DetectorConfig, format: ExportFormat): void {
  const {
    backbone,
    head = 'ssd',
    features,
    loss,
    postprocess: { nms = 'plain' },
  } = config;
  if (format === 'pth' && head === 'retinanet') {
    throw new RangeError(
      "Expected a detector with the head ssd for the model as pth, found retinanet: the article's model has no names for its tensors. " +
        'Export it as safetensors or torchscript, or its backbone alone',
    );
  }
  if (format === 'pth' && features === 'pyramid' && backbone !== 'torchscript') {
    throw new RangeError(
      "Expected a detector without a feature pyramid for the model as pth, found one with it: its tensors have no names in the article's " +
        'model. Export it as safetensors or torchscript, or its backbone alone',
    );
  }
  if (format === 'pth' && loss?.classification === 'focal') {
    throw new RangeError(
      "Expected a detector trained with the classification loss hard-negative for pth, found focal: the article's model would make " +
        'its scores by softmax. Export it as torchscript or safetensors',
    );
  }
  if (format === 'torchscript' && nms !== 'plain') {
    throw new RangeError(
      `Expected a detector with nms plain for torchscript, found ${nms}, which the exported program lacks. Export safetensors, and give ` +
        "that file as `weights` to a detector created with the same options and nms: 'plain'",
    );
  }
}

function checkOptions(options: ExportOptions, trainedEpochs: number): Required<ExportOptions> {
  const { format, part, epoch } = checkKeys('options', options, ['format', 'part', 'epoch']);
  return {
    format: checkOneOf('format', format, exportFormats),
    part: checkOneOf('part', part ?? 'model', exportParts),
    epoch: checkInteger('epoch', epoch ?? trainedEpochs, 0),
  };
}

/** safetensors cannot share bytes: a tensor of two names is there twice. */
async function writeNamed(
  path: string,
  tensors: readonly TorchFileTensor[],
  metadata: Record<string, string>,
  fill: (spans: TensorSpan[]) => Promise<void>,
): Promise<void> {
  const ours = new Map(tensors.flatMap(({ name, stateDictNames }) => stateDictNames.map((theirs) => [theirs, name])));
  const infos = tensors.flatMap(({ dtype, shape, stateDictNames }) =>
    stateDictNames.map((name) => ({ name, dtype, shape })),
  );
  await writeSafetensors(path, infos, metadata, (spans) =>
    fill(spans.map((span) => ({ ...span, name: ours.get(span.name)! }))),
  );
}
