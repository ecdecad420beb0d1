import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checkString } from '../base/check.ts';
import { ensureWritableDirectory, replaceFile } from '../files/atomic-file.ts';
import { withBackground } from '../model/class-list.ts';
import type { DetectorConfig } from '../model/config.ts';
import { headOf } from '../model/detection-head.ts';
import { scoresOf } from '../model/scores.ts';
import type { OnnxSource } from '../onnx/export-onnx.ts';
import { boxCoding } from '../onnx/graph/box-decoding.ts';
import type { Verification } from '../onnx/verify.ts';
import { articleNames, releasedNames } from '../weights/key-maps.ts';
import { type TensorSpan, writeSafetensors } from '../weights/safetensors.ts';
import type { TorchFileTensor } from '../weights/torch/pth-writer.ts';
import { detectInFloat32 } from './detect-in-float32.ts';
import { internalsOf } from './detector-internals.ts';
import { checkExportOptions, type ExportFormat, type ExportOptions, type ExportPart } from './export-options.ts';
import type { ModelDescription } from './model-files.ts';
import { writeState } from './model-state.ts';
import { nativePostprocess } from './native-postprocess.ts';

/** The report on a written export. */
export interface ExportReport {
  /** The number of tensor names in the file. The article's and the released models have two for each tensor of the final norm. */
  tensors: number;
  /** The size in bytes of the file, or of all files. */
  bytes: number;
  /** The comparison with the detector in float32, for `onnx` and `transformersjs` if onnxruntime-node is installed. */
  verification?: Verification;
}

/** What `detector.export` does. */
export async function writeExport(
  detector: ModelDescription,
  path: string,
  options: ExportOptions,
): Promise<ExportReport> {
  const { addon, handle, trainedEpochs } = internalsOf(detector);
  checkString('path', path);
  const { format, part, epoch, signal, ...onnx } = checkExportOptions(path, options, trainedEpochs);
  if (format === 'onnx' || format === 'transformersjs') {
    if (part === 'backbone')
      throw new RangeError(`Expected model for part with format ${format} but received backbone`);
    signal?.throwIfAborted();
    const source = await onnxSourceOf(detector);
    if (format === 'onnx') return await (await import('../onnx/export-onnx.ts')).exportOnnx(source, path, onnx);
    return await (await import('../onnx/transformersjs.ts')).exportTransformersJs(source, path, onnx);
  }
  checkExportable(detector, format, part);
  signal?.throwIfAborted();
  const { writeTorchFile } = await import('../weights/torch/pth-writer.ts');
  const { describeWeights } = await import('./weights-metadata.ts');
  const namesOf = namesIn(format, part);
  const state = await addon.describeState(handle, 'model');
  const tensors = state
    .map((tensor) => ({ ...tensor, stateDictNames: namesOf(tensor.name) }))
    .filter(({ stateDictNames }) => stateDictNames.length > 0);

  await ensureWritableDirectory(dirname(path));
  await replaceFile(path, async (temporary) => {
    signal?.throwIfAborted();
    const fill = (spans: TensorSpan[]) => addon.writeState(handle, 'model', temporary, spans);
    if (format === 'torchscript') await writeTorchScript(detector, part, temporary);
    else if (format === 'pth') await writeTorchFile(temporary, tensors, part === 'model' ? { epoch } : {}, fill);
    else await writeNamed(temporary, tensors, describeWeights(detector), fill);
    signal?.throwIfAborted(); // what has the name is left as it was
  });
  return { tensors: tensors.flatMap(({ stateDictNames }) => stateDictNames).length, bytes: (await stat(path)).size };
}

/** What the room of ONNX needs of a detector; not part of the public interface. */
export async function onnxSourceOf(detector: ModelDescription): Promise<OnnxSource> {
  const { addon, handle } = internalsOf(detector);
  const { classes, config } = detector;
  return {
    ...{ classes, config },
    defaultBoxes: { boxes: await addon.defaultBoxes(handle), coding: boxCoding(config) },
    writeTensors: (path) => writeState(addon, handle, 'model', path),
    detect: (images) => detectInFloat32(detector, images),
  };
}

/** What the file calls a tensor of ours: none, one or more names. */
function namesIn(format: ExportFormat, part: ExportPart): (name: string) => string[] {
  if (format === 'torchscript' && part === 'backbone')
    return (name) => (name.startsWith('backbone.') ? [name.slice('backbone.'.length)] : []);
  if (part === 'backbone') return releasedNames;
  return format === 'pth' ? articleNames : (name) => [name];
}

async function writeTorchScript(detector: ModelDescription, part: ExportPart, path: string): Promise<void> {
  const { addon, handle } = internalsOf(detector);
  const { classes, config } = detector;
  if (part === 'backbone') await addon.writeBackboneScript(handle, path);
  else
    await addon.writeDetectorScript(handle, path, { ...nativePostprocess(config), classes: withBackground(classes) });
}

/** @throws RangeError for a format or part that has no names for this detector's tensors */
function checkExportable({ config }: ModelDescription, format: ExportFormat, part: ExportPart): void {
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
    postprocess: { nms = 'plain' },
  } = config;
  if (format === 'pth' && !headOf(head).hasArticleNames) {
    throw new RangeError(
      `Expected a detector with the head ssd for the model as pth, found ${head}: the article's model has no names for its tensors. ` +
        'Export it as safetensors or torchscript, or its backbone alone',
    );
  }
  if (format === 'pth' && features === 'pyramid' && backbone !== 'torchscript') {
    throw new RangeError(
      "Expected a detector without a feature pyramid for the model as pth, found one with it: its tensors have no names in the article's " +
        'model. Export it as safetensors or torchscript, or its backbone alone',
    );
  }
  if (format === 'pth' && scoresOf(config) === 'sigmoid') {
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
