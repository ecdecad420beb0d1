import { inspect } from 'node:util';
import { DetectorError, type DetectorErrorCode } from '../base/errors.ts';
import type { Detection } from '../boxes/detection.ts';
import type { DetectOptions } from '../detector/detect-options.ts';
import type { Detector } from '../detector/detector.ts';
import type { DetectorOptions, LoadOptions } from '../detector/detector-options.ts';
import type { ExportReport } from '../detector/export.ts';
import type { ExportOptions } from '../detector/export-options.ts';
import type { ModelSummary, SummaryOptions } from '../detector/summary.ts';
import type { EncodeOptions } from '../images/draw.ts';
import { checkImageBytes, type ImageInput, type RgbImage } from '../images/image.ts';
import type { OnnxLoadOptions } from '../inference/onnx-detector.ts';

/**
 * The messages between a host and the process of the detectors; all can be cloned. Every call is answered once. Images are sent before
 * their call, one message each, so that no message grows with their number.
 */

/** The recipe of a detector. The host keeps it, to make the detector again in another process. */
export type DetectorSource =
  | { load: string; options: LoadOptions | undefined }
  | { onnx: string; options: OnnxLoadOptions | undefined }
  | { create: DetectorOptions; options?: undefined };

/** The properties of a detector that a host knows. */
export interface DetectorDescription extends Pick<Detector, 'classes' | 'config' | 'device' | 'weightReport'> {
  /** The precision; `fp16` for an ONNX file that was exported with `half`. */
  precision: Detector['precision'] | 'fp16';
}

/** The methods of the process. `detector` is the number of the `open` call that made the detector. */
export interface Methods {
  open: { args: { source: DetectorSource }; value: DetectorDescription };
  detect: { args: { detector: number; options: Omit<DetectOptions, 'signal'> }; value: Detection[][] };
  annotate: {
    args: { detector: number; detections: readonly Detection[] | undefined; options: EncodeOptions };
    value: Uint8Array;
  };
  summary: { args: { detector: number; options: SummaryOptions }; value: ModelSummary };
  export: { args: { detector: number; path: string; options: Omit<ExportOptions, 'signal'> }; value: ExportReport };
  save: { args: { detector: number; dir: string }; value: undefined };
  dispose: { args: { detector: number }; value: undefined };
}
export type Method = keyof Methods;

export type Call = { [M in Method]: { kind: 'call'; call: number; method: M; args: Methods[M]['args'] } }[Method];

export type Request =
  | { kind: 'image'; call: number; image: ImageInput }
  | Call
  /** The answer is no longer needed. */
  | { kind: 'abort'; call: number };

export type Reply =
  | { kind: 'value'; call: number; value: unknown }
  | { kind: 'error'; call: number; error: PlainError };

/** An error as plain data, because cloning would lose its class and code. */
export interface PlainError {
  name: string;
  message: string;
  code?: DetectorErrorCode;
  stack?: string;
}

/** Converts any thrown value to plain data. */
export function packError(thrown: unknown): PlainError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: inspect(thrown, { depth: 2, breakLength: 120 }) };
  const { name, message, stack } = thrown;
  return {
    name,
    message,
    ...(thrown instanceof DetectorError ? { code: thrown.code } : {}),
    ...(stack === undefined ? {} : { stack }),
  };
}

/** Converts plain data back to an error of its class. Its `cause` is the stack from its process. */
export function unpackError({ name, message, code, stack }: PlainError): Error {
  const options = stack === undefined ? {} : { cause: stack };
  if (code !== undefined) return new DetectorError(code, message, options);
  if (name === 'TypeError') return new TypeError(message, options);
  if (name === 'RangeError') return new RangeError(message, options);
  return new Error(message, options);
}

/**
 * Copies an image so that it can be sent later. Bytes are copied, because their buffer may be shared, much larger, or reused by the caller.
 * The detector rejects any other value.
 * @throws {DetectorError} `IMAGE_TOO_LARGE`
 */
export function copyImage(image: ImageInput): ImageInput {
  const bytes = image instanceof Uint8Array ? image : (image as Partial<RgbImage> | null)?.data;
  if (!(bytes instanceof Uint8Array)) return image;
  checkImageBytes(bytes);
  const copy = new Uint8Array(bytes);
  return image instanceof Uint8Array ? copy : { ...(image as RgbImage), data: copy };
}
