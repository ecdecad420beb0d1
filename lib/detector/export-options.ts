import { extname } from 'node:path';
import { checkOneOf } from '../base/check.ts';
import { choice, integer } from '../base/kinds.ts';
import { type Given, option, resolve } from '../base/option.ts';
import { type CallOptions, takeSignal } from '../base/signal.ts';
import { type OnnxExportOptions, onnxExportKeys, onnxExportTable } from '../onnx/export-options.ts';

/** The formats of an export; `ExportOptions.format` says what is in each. */
export const exportFormats = ['safetensors', 'pth', 'torchscript', 'onnx', 'transformersjs'] as const;
/** A format of an export; `ExportOptions.format` says what is in each. */
export type ExportFormat = (typeof exportFormats)[number];

/** The parts of a detector that can be exported. */
export const exportParts = ['model', 'backbone'] as const;
/** The part of a detector that is exported. */
export type ExportPart = (typeof exportParts)[number];

const group = 'Export';

/** Every option of an export but its signal: the one place where it is declared. */
export const exportTable = {
  /**
   * The format of the file.
   *
   * `safetensors`: tensors by the names of our checkpoints. The metadata has classes, image size, backbone, preset and other choices.
   *
   * `pth`: a file of `torch.save`, `{'epoch', 'model_state_dict'}`, as the article's training writes it. It fits `load_state_dict` of its
   * model and `torch.load(weights_only=True)`.
   *
   * `torchscript`: a program for `torch.jit.load` (Python) and `torch::jit::load` (C++), on the CPU until it is moved. The model's
   * `forward` takes any number of images [N, 3, height, width], RGB floats from 0 to 1. It returns a dictionary per image, best detection
   * first: `boxes` [D, 4] (xyxy in pixels of the input), `scores` [D] and `labels` [D]. A label is an int64 index into its `classes`, which
   * begin with `__background__`. Thresholds and limits are those of `config.postprocess`. The backbone's `forward` takes normalised images
   * and returns its map, or a list of maps for a pyramid.
   *
   * `onnx`: the whole model as a program for ONNX Runtime and others. `nms`, `input`, `opset` and `half` choose its form.
   *
   * `transformersjs`: a new directory for `pipeline('object-detection')` of transformers.js, with a model in float32 and in float16.
   *
   * @default by the extension of the path: `.safetensors`, `.pth`, `.pt` for `torchscript`, or `.onnx`
   */
  format: option(choice(exportFormats), {
    unset: 'by the extension: .safetensors, .pth, .onnx, or .pt for torchscript',
    group,
    help: "pth: torch.save, by the article's names; safetensors: by ours; torchscript, onnx: a program; transformersjs: a directory",
  }),
  /**
   * The part to export: the whole `model`, or only the `backbone`. A backbone has the names of DINOv3's released state_dict, or is the
   * program `torchscript`.
   * @default 'model'
   */
  part: option(choice(exportParts), {
    default: 'model',
    group,
    help: "the whole model, or the backbone by the names of DINOv3's release",
  }),
  /**
   * The number of trained epochs that a whole `pth` states.
   * @default the number in the checkpoint that the detector was loaded from, or 0
   */
  epoch: option(integer(), {
    unset: 'that of the checkpoint',
    group,
    help: 'epochs trained, as a pth file names them',
  }),
  ...onnxExportTable,
};

/** The options of `detector.export`. */
export interface ExportOptions extends Given<typeof exportTable>, CallOptions {}

const formatOf: Record<string, ExportFormat> = {
  '.safetensors': 'safetensors',
  '.pth': 'pth',
  '.pt': 'torchscript',
  '.onnx': 'onnx',
};

/** The same with its defaults. @throws {TypeError|RangeError} naming the option */
export function checkExportOptions(path: string, options: ExportOptions, trainedEpochs: number) {
  const { signal, given } = takeSignal(options);
  const { format, epoch = trainedEpochs, ...own } = resolve(exportTable, given);
  const chosen = checkOneOf('format', format ?? formatOf[extname(path).toLowerCase()], exportFormats);
  checkOnnxKeys(chosen, given);
  return { ...own, format: chosen, epoch, signal };
}

/** An option that would change nothing is refused. @throws {RangeError} */
function checkOnnxKeys(format: ExportFormat, given: OnnxExportOptions): void {
  const allowed = { onnx: onnxExportKeys, transformersjs: ['opset', 'verify'] as const }[format as 'onnx'] ?? [];
  const key = onnxExportKeys.find((each) => given[each] !== undefined && !allowed.includes(each));
  if (key === undefined) return;
  const why =
    format === 'transformersjs' ? 'whose files are as transformers.js wants them' : 'which is no program of ONNX';
  throw new RangeError(`Expected no ${key} with format ${format}, ${why}. Leave it out, or choose format onnx`);
}
