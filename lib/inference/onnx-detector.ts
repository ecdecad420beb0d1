import { basename } from 'node:path';
import { checkInteger, checkKeys, checkSequence, checkString, wrongArgument } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { takeSignal } from '../base/signal.ts';
import type { Detection } from '../boxes/detection.ts';
import type { DetectOptions } from '../detector/detect-options.ts';
import { readBoundedFile } from '../files/bounded-file.ts';
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

/** How onnxruntime-node runs a file. */
export interface OnnxLoadOptions {
  /** Threads of one operator. @default one per core */
  threads?: number;
  /** What computes, by the names of onnxruntime-node, the first that can: `['cuda', 'cpu']`. @default ['cpu'] */
  executionProviders?: readonly string[];
}

/** No protobuf message is larger. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/**
 * A detector from a file of `exportDetector` (formats `onnx` and `transformersjs`), on onnxruntime-node: the interface of `Detector`,
 * without LibTorch. Every method may be called concurrently.
 */
export class OnnxDetector {
  /** The names of the classes. */
  readonly classes: readonly string[];
  /** The configuration of the detector that the file was made from. */
  readonly config: Readonly<DetectorConfig>;
  /** What backbone and pyramid compute in. */
  readonly precision: 'fp32' | 'fp16';
  /** `cpu`, or the first of `executionProviders`. */
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
   * A detector from a file, or from its bytes.
   *
   * Rejects with `TypeError`/`RangeError` for wrong arguments and with `DetectorError`: `WEIGHTS_NOT_FOUND`, `ONNX_INVALID` for a file
   * that is no export of ours or is damaged, `ONNX_RUNTIME_NOT_FOUND` without onnxruntime-node, or `ONNX_RUNTIME_FAILED`.
   */
  static async load(file: string | Uint8Array, options: OnnxLoadOptions = {}): Promise<OnnxDetector> {
    const session = sessionOptions(options);
    const { name, bytes } = await readFile(file);
    const { metadata, externalData } = await readModel(name, bytes);
    const content = externalData === undefined ? bytes : pathOf(file, externalData);
    const model = await OnnxModel.open(await loadOnnxRuntime(), content, metadata, session);
    return new OnnxDetector(metadata, model, session.executionProviders[0]!);
  }

  /**
   * The objects of an image, best first; boxes in pixels of the image (upright, unless `autoOrient` is false). Rejects as
   * `Detector.detect`, and with `RangeError` for limits beyond those that a file with NMS inside was exported with.
   */
  detect(image: ImageInput, options?: DetectOptions): Promise<Detection[]>;
  /** The objects of each image, in the order of the images. Rejects as a whole when one of them cannot be read. */
  detect(images: readonly ImageInput[], options?: DetectOptions): Promise<Detection[][]>;
  async detect(input: ImageInput | readonly ImageInput[], options: DetectOptions = {}) {
    const decode = (image: ImageInput, autoOrient: boolean) => decodeImage(image, { autoOrient });
    return await this.#lifetime.use((model) => detectImages(model, input, options, decode));
  }

  /** As `Detector.annotate`. */
  async annotate(image: ImageInput, detections?: readonly Detection[], options: AnnotateOptions = {}): Promise<Buffer> {
    const { signal, given } = takeSignal(options);
    signal?.throwIfAborted();
    const { annotateImage } = await import('../images/draw.ts');
    const decoded = await decodeImage(image, { autoOrient: true });
    const annotated = await annotateImage(decoded, detections ?? (await this.detect(decoded, { signal })), given);
    signal?.throwIfAborted();
    return annotated;
  }

  /** As `Detector.detectVideo`. */
  async *detectVideo(source: string, options?: VideoOptions): AsyncGenerator<VideoFrame, void, void> {
    const { detectVideo } = await import('../video/detect-video.ts');
    yield* detectVideo(this, source, options);
  }

  /** Frees the runtime's memory; work that is under way still ends, later calls reject with `DISPOSED`. Safe to repeat. */
  dispose(): void {
    this.#lifetime.dispose();
  }

  /** The same, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The same, for `await using`. */
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
