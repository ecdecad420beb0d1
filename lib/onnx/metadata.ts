import { checkInteger, checkOneOf, checkSequence } from '../base/check.ts';
import { checkClasses } from '../model/class-list.ts';
import { checkDetectorConfig, type DetectorConfig } from '../model/config.ts';

/**
 * What a file takes: `uint8` [N, height, width, 3], RGB, or `float` [N, 3, height, width], 0 to 1. A size is always the model's.
 */
export const onnxInputs = ['uint8', 'float'] as const;
/** The input type of an exported file. */
export type OnnxInput = (typeof onnxInputs)[number];

/**
 * What a file gives: `inside`: detections of one image; `none`: boxes and scores of all default boxes of any number of images;
 * `queries`: the detections of one image as transformers.js takes them.
 */
export const onnxResults = ['inside', 'none', 'queries'] as const;
export type OnnxResult = (typeof onnxResults)[number];

/** What a file of ours says of itself, so that a program needs nothing else to use it. */
export interface OnnxMetadata {
  createdBy: string;
  /** A label is an index into it, as is a column of scores. */
  classes: string[];
  /** That of the detector. NMS inside was built with its `postprocess`. */
  config: DetectorConfig;
  input: OnnxInput;
  result: OnnxResult;
  /** What backbone and pyramid compute in. */
  precision: 'fp32' | 'fp16';
  /** Default boxes of each map, in the order of the rows. */
  boxesOfMaps: number[];
}

export const METADATA_FORMAT = 'dinov3-det-onnx';

/** @throws TypeError or RangeError naming the entry that is missing or wrong */
export function checkMetadata(entries: ReadonlyMap<string, string>): OnnxMetadata {
  const text = (key: string) => {
    const found = entries.get(key);
    if (found === undefined) throw new RangeError(`Expected the entry "${key}" in its metadata, found none`);
    return found;
  };
  checkOneOf('format', text('format'), [METADATA_FORMAT]);
  checkOneOf('format_version', text('format_version'), ['1']);
  const config = checkDetectorConfig(JSON.parse(text('model')));
  checkOneOf('resize', text('resize'), [config.resize ?? 'stretch']);
  const names = checkSequence('classes', JSON.parse(text('classes')), 1, 100_000);
  const maps = checkSequence('boxes_of_maps', JSON.parse(text('boxes_of_maps')), 1, 16);
  return {
    createdBy: text('created_by'),
    classes: checkClasses('classes', names),
    config,
    input: checkOneOf('input', text('input'), onnxInputs),
    result: checkOneOf('nms', text('nms'), onnxResults),
    precision: checkOneOf('precision', text('precision'), ['fp32', 'fp16']),
    boxesOfMaps: maps.map((count, k) => checkInteger(`boxes_of_maps[${k}]`, count, 1)),
  };
}
