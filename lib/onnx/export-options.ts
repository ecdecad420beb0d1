import { checkInteger, wrongArgument } from '../base/check.ts';
import { boolean, choice } from '../base/kinds.ts';
import { type Given, type Kind, option, resolve } from '../base/option.ts';
import { type Opset, opsets } from './graph/graph.ts';
import { onnxInputs } from './metadata.ts';

/** Where NMS is done: in the file, or by the one who runs it. */
export const nmsPlaces = ['inside', 'none'] as const;
/** The place of NMS: inside the file, or left to its user. */
export type NmsPlace = (typeof nmsPlaces)[number];

const group = 'ONNX';

/** What may be chosen for the formats `onnx` and `transformersjs`: the one place where it is declared. */
export const onnxExportTable = {
  /**
   * The place of NMS. `inside`: the file takes one image and returns the detections of `Detector`, best first. They are `boxes` [D, 4]
   * (xyxy in pixels of its input), `scores` [D] and `labels` [D] (int64, an index into the class names). `none`: the file takes N images
   * and returns all default boxes: `boxes` [N, A, 4] and `scores` [N, A, C]. It uses only operators of WebGPU. Only for the format `onnx`.
   * @default 'inside'
   */
  nms: option(choice(nmsPlaces), {
    default: 'inside',
    group,
    flag: false, // --nms is the detector's too: the command tells by the value which is meant
    help: 'inside: NMS is a part of the file; none: it is for the caller to do',
  }),
  /**
   * The input `images` of the file, RGB with the model's size. `uint8` is [N, height, width, 3]. `float` is [N, 3, height, width] from 0 to
   * 1. The file normalises it. Only for the format `onnx`.
   * @default 'uint8'
   */
  input: option(choice(onnxInputs), {
    default: 'uint8',
    group,
    help: 'uint8: pixels [N,H,W,3]; float: [N,3,H,W] from 0 to 1',
  }),
  /**
   * The version of ONNX's operators, 17 or 20.
   * @default 20
   */
  opset: option(opsetKind(), { default: 20, group, help: "the version of ONNX's operators" }),
  /**
   * Whether backbone and pyramid have weights and arithmetic in float16. Heads and boxes stay in float32. Only for the format `onnx`.
   * @default false
   */
  half: option(boolean(), { default: false, group, help: 'backbone and pyramid in float16' }),
  /**
   * Whether to compare the written file with the detector on three images, if onnxruntime-node is installed.
   * @default true
   */
  verify: option(boolean(), { default: true, group, help: 'run the written file beside the detector' }),
};

/** The options of `detector.export` for the formats `onnx` and `transformersjs`. */
export interface OnnxExportOptions extends Given<typeof onnxExportTable> {}

export const onnxExportKeys = Object.keys(onnxExportTable) as (keyof OnnxExportOptions)[];

/** The same with its defaults. @throws TypeError or RangeError naming the option */
export function checkOnnxOptions(given: OnnxExportOptions) {
  return resolve(onnxExportTable, given);
}
export type ResolvedOnnxOptions = ReturnType<typeof checkOnnxOptions>;

function opsetKind(): Kind<Opset> {
  const words = `one of ${opsets.join(', ')}`;
  const check = (name: string, value: unknown): Opset => {
    const opset = opsets.find((each) => each === value);
    if (opset !== undefined) return opset;
    checkInteger(name, value, 1);
    throw new RangeError(wrongArgument(name, words, value));
  };
  const parse = (text: string) => (/^\d+$/.test(text) ? Number(text) : text);
  return { check, words, schema: { enum: [...opsets] }, placeholder: '<version>', parse };
}
