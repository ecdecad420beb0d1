import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { checkInteger, checkKeys, checkSequence, checkString, wrongArgument } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { takeSignal } from '../base/signal.ts';
import type { Detection } from '../boxes/detection.ts';
import type { DetectOptions } from '../detector/detect-options.ts';
import { readBoundedFile } from '../files/bounded-file.ts';
import { digestFile } from '../files/digest-file.ts';
import type { AnnotateOptions } from '../images/draw.ts';
import { decodeImage, type ImageInput } from '../images/image.ts';
import type { DetectorConfig } from '../model/config.ts';
import type { OnnxMetadata } from '../onnx/metadata.ts';
import { OnnxModel } from '../onnx/onnx-model.ts';
import { readModel } from '../onnx/read-model.ts';
import { loadOnnxRuntime } from '../onnx/runtime.ts';
import type { VideoFrame, VideoOptions } from '../video/options.ts';
import { detectImages } from './detect-images.ts';
import { Lifetime } from './lifetime.ts';

/** The options of `OnnxDetector.load` with onnxruntime-node. */
export interface OnnxLoadOptions {
  /**
   * The number of threads of one operator.
   * @default one per core
   */
  threads?: number;
  /**
   * The execution providers by the names of onnxruntime-node. The first one that works is used, for example of `['cuda', 'cpu']`.
   * @default ['cpu']
   */
  executionProviders?: readonly string[];
}

/** No protobuf message is larger. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/**
 * A detector from a file of `exportDetector` (formats `onnx` and `transformersjs`) on onnxruntime-node. It has the interface of `Detector`
 * and needs no LibTorch. Its methods may be called concurrently.
 */
export class OnnxDetector {
  /** The names of the classes. */
  readonly classes: readonly string[];
  /** The configuration of the detector that the file was made from. */
  readonly config: Readonly<DetectorConfig>;
  /** The precision of backbone and pyramid. */
  readonly precision: 'fp32' | 'fp16';
  /** The device: `cpu`, or the first of `executionProviders`. */
  readonly device: string;
  readonly #lifetime: Lifetime;

  private constructor({ classes, config, precision }: OnnxMetadata, model: OnnxModel, device: string) {
    this.classes = classes;
    this.config = config;
    this.precision = precision;
    this.device = device;
    this.#lifetime = new Lifetime(model);
  }

  /**
   * Loads a detector from a file, or from its bytes.
   *
   * @throws {TypeError|RangeError} for a wrong argument
   * @throws {DetectorError} `WEIGHTS_NOT_FOUND`; `ONNX_INVALID` for a damaged file, or one that this library did not export;
   * `ONNX_RUNTIME_NOT_FOUND` without onnxruntime-node; `ONNX_RUNTIME_FAILED`
   */
  static async load(file: string | Uint8Array, options: OnnxLoadOptions = {}): Promise<OnnxDetector> {
    const session = sessionOptions(options);
    const { name, bytes } = await readFile(file);
    const { metadata, externalData, dataDigest } = await readModel(name, bytes);
    const content = externalData === undefined ? bytes : pathOf(file, externalData);
    if (content !== bytes) await checkData(`${file}.data`, dataDigest);
    const model = await OnnxModel.open(await loadOnnxRuntime(), content, metadata, session);
    return new OnnxDetector(metadata, model, session.executionProviders[0]!);
  }

  /**
   * Detects the objects of an image, best first. Boxes are in pixels of the image, upright unless `autoOrient` is false.
   *
   * @throws the errors of `Detector.detect`
   * @throws {RangeError} for limits beyond those of a file with NMS inside
   */
  detect(image: ImageInput, options?: DetectOptions): Promise<Detection[]>;
  /** Detects the objects of each image, in the order of the images. The whole call rejects if one image cannot be read. */
  detect(images: readonly ImageInput[], options?: DetectOptions): Promise<Detection[][]>;
  async detect(input: ImageInput | readonly ImageInput[], options: DetectOptions = {}) {
    const decode = (image: ImageInput, autoOrient: boolean) => decodeImage(image, { autoOrient });
    return await this.#lifetime.use((model) => detectImages(model, input, options, decode));
  }

  /** Draws detections into an image and encodes it, like `Detector.annotate`. */
  async annotate(image: ImageInput, detections?: readonly Detection[], options: AnnotateOptions = {}): Promise<Buffer> {
    const { signal, given } = takeSignal(options);
    signal?.throwIfAborted();
    const { annotateImage } = await import('../images/draw.ts');
    const decoded = await decodeImage(image, { autoOrient: true });
    const annotated = await annotateImage(decoded, detections ?? (await this.detect(decoded, { signal })), given);
    signal?.throwIfAborted();
    return annotated;
  }

  /** Detects the objects of each frame of a video, like `Detector.detectVideo`. */
  async *detectVideo(source: string, options?: VideoOptions): AsyncGenerator<VideoFrame, void, void> {
    const { detectVideo } = await import('../video/detect-video.ts');
    yield* detectVideo(this, source, options);
  }

  /** Frees the runtime's memory. Running calls still end; later calls reject with `DISPOSED`. It is safe to repeat. */
  dispose(): void {
    this.#lifetime.dispose();
  }

  /** Calls `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Calls `dispose`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }
}

function sessionOptions(options: OnnxLoadOptions): { executionProviders: string[] } & Record<string, unknown> {
  const { threads, executionProviders } = checkKeys('options', options, ['threads', 'executionProviders']);
  const providers =
    executionProviders === undefined ? ['cpu'] : checkSequence('executionProviders', executionProviders, 1, 8);
  return {
    executionProviders: providers.map((each, i) => checkString(`executionProviders[${i}]`, each)),
    ...(threads !== undefined && { intraOpNumThreads: checkInteger('threads', threads, 1, 1024) }),
    logSeverityLevel: 3, // errors: what it warns of, a user can do nothing about
  };
}

async function readFile(file: string | Uint8Array): Promise<{ name: string; bytes: Uint8Array }> {
  if (file instanceof Uint8Array) return { name: 'the model', bytes: new Uint8Array(file) };
  if (typeof file !== 'string' || file === '') throw new TypeError(wrongArgument('file', 'path or Uint8Array', file));
  try {
    return { name: file, bytes: await readBoundedFile(file, MAX_MODEL_BYTES) };
  } catch (error) {
    const code = messageOf(error) === 'it does not exist' ? 'WEIGHTS_NOT_FOUND' : 'ONNX_INVALID';
    throw new DetectorError(
      code,
      `Cannot read ${file}: ${messageOf(error)}. Give a file of dinov3-det export --format onnx`,
      {
        cause: error,
      },
    );
  }
}

/** Weights in another file are looked up beside the model, by the name that the export gives it. @throws DetectorError `ONNX_INVALID` */
function pathOf(file: string | Uint8Array, externalData: string): string {
  if (typeof file === 'string' && externalData === `${basename(file)}.data`) return file;
  throw new DetectorError(
    'ONNX_INVALID',
    `The model has its weights in another file, ${JSON.stringify(externalData.slice(0, 200))}: give the path of the model, with that ` +
      'file beside it, both named as they were exported',
  );
}

/** @throws DetectorError `ONNX_INVALID` for weights that are missing, damaged, or another model's */
async function checkData(path: string, expected: string | undefined): Promise<void> {
  const refuse = (what: string, cause?: unknown) =>
    new DetectorError(
      'ONNX_INVALID',
      `${path} cannot be used: ${what}. Export the detector again: dinov3-det export --format onnx`,
      { cause },
    );
  const found = await stat(path).catch((error: unknown) => {
    throw refuse(messageOf(error), error);
  });
  if (!found.isFile()) throw refuse('it is not a file'); // a pipe would never end
  const { sha256 } = await digestFile(path);
  if (sha256 !== expected) throw refuse('its SHA-256 is not the one that the model was written with');
}
