import { extname } from 'node:path';
import { checkInteger, checkKeys, checkOneOf } from '../base/check.ts';
import { type CallOptions, checkSignal } from '../base/signal.ts';

/** The formats of an export; `ExportOptions.format` says what is in each. */
export const exportFormats = ['safetensors', 'pth', 'torchscript'] as const;
/** A format of an export; `ExportOptions.format` says what is in each. */
export type ExportFormat = (typeof exportFormats)[number];

/** The parts of a detector that can be exported. */
export const exportParts = ['model', 'backbone'] as const;
/** The part of a detector that is exported. */
export type ExportPart = (typeof exportParts)[number];

/** The options of `detector.export`. */
export interface ExportOptions extends CallOptions {
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
  format?: ExportFormat | undefined;
  /**
   * The whole `model`, or the `backbone` alone: under the names of DINOv3's released state_dict, or as the program `torchscript`.
   * @default 'model'
   */
  part?: ExportPart | undefined;
  /**
   * What a whole `pth` says of the epochs trained.
   * @default what the checkpoint says that the detector was loaded from, or 0
   */
  epoch?: number | undefined;
}

const formatOf: Record<string, ExportFormat> = { '.safetensors': 'safetensors', '.pth': 'pth', '.pt': 'torchscript' };

/** The same with its defaults. @throws {TypeError|RangeError} naming the option */
export function checkExportOptions(path: string, options: ExportOptions, trainedEpochs: number) {
  const { format, part, epoch, signal } = checkKeys('options', options, ['format', 'part', 'epoch', 'signal']);
  return {
    format: checkOneOf('format', format ?? formatOf[extname(path).toLowerCase()], exportFormats),
    part: checkOneOf('part', part ?? 'model', exportParts),
    epoch: checkInteger('epoch', epoch ?? trainedEpochs, 0),
    signal: checkSignal('signal', signal),
  };
}
