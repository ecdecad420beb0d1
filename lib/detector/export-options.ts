import { extname } from 'node:path';
import { checkOneOf } from '../base/check.ts';
import { choice, integer } from '../base/kinds.ts';
import { type Given, option, resolve } from '../base/option.ts';
import { type CallOptions, takeSignal } from '../base/signal.ts';

/** The formats of an export; `ExportOptions.format` says what is in each. */
export const exportFormats = ['safetensors', 'pth', 'torchscript'] as const;
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
   * `safetensors`: tensors by the names of our checkpoints, with classes, image size, backbone, preset and what else was chosen in
   * the metadata.
   *
   * `pth`: a file of `torch.save` as the article's training writes it, `{'epoch', 'model_state_dict'}`, for the `load_state_dict` of
   * its model and `torch.load(weights_only=True)`.
   *
   * `torchscript`: a program for `torch.jit.load` (Python) and `torch::jit::load` (C++), on the CPU until it is moved. The model's
   * `forward` takes images [N, 3, height, width], any N, RGB floats of 0 to 1, and gives for each a dictionary of `boxes` [D, 4] (xyxy
   * in pixels of the input), `scores` [D] and `labels` [D] (int64, an index into its `classes`, which begin with `__background__`),
   * best first. Thresholds and limits are those of `config.postprocess`. The backbone's `forward` takes normalised images and gives its
   * map, or a list of maps for a pyramid.
   *
   * @default by the extension of the path: `.safetensors`, `.pth`, or `.pt` for `torchscript`
   */
  format: option(choice(exportFormats), {
    unset: 'by the extension: .safetensors, .pth, or .pt for torchscript',
    group,
    help: "pth: torch.save, by the article's names; safetensors: by ours; torchscript: a program",
  }),
  /**
   * The whole `model`, or the `backbone` alone: under the names of DINOv3's released state_dict, or as the program `torchscript`.
   * @default 'model'
   */
  part: option(choice(exportParts), {
    default: 'model',
    group,
    help: "the whole model, or the backbone by the names of DINOv3's release",
  }),
  /**
   * The epochs trained that a whole `pth` names.
   * @default what the checkpoint says that the detector was loaded from, or 0
   */
  epoch: option(integer(), {
    unset: 'that of the checkpoint',
    group,
    help: 'epochs trained, as a pth file names them',
  }),
};

/** The options of `detector.export`. */
export interface ExportOptions extends Given<typeof exportTable>, CallOptions {}

const formatOf: Record<string, ExportFormat> = { '.safetensors': 'safetensors', '.pth': 'pth', '.pt': 'torchscript' };

/** The same with its defaults. @throws {TypeError|RangeError} naming the option */
export function checkExportOptions(path: string, options: ExportOptions, trainedEpochs: number) {
  const { signal, given } = takeSignal(options);
  const { format, epoch = trainedEpochs, ...own } = resolve(exportTable, given);
  const chosen = format ?? formatOf[extname(path).toLowerCase()];
  return { ...own, format: checkOneOf('format', chosen, exportFormats), epoch, signal };
}
