import { checkKeys, checkSequence, checkString } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { takeSignal } from '../base/signal.ts';
import type { Detection } from '../boxes/detection.ts';
import type { DetectOptions } from '../detector/detect-options.ts';
import type { AnnotateOptions } from '../images/draw.ts';
import type { DetectorConfig } from '../model/config.ts';
import type { OnnxMetadata } from '../onnx/metadata.ts';
import { OnnxModel } from '../onnx/onnx-model.ts';
import { readModel } from '../onnx/read-model.ts';
import type { OnnxRuntime } from '../onnx/runtime.ts';
import { detectImages } from './detect-images.ts';
import { Lifetime } from './lifetime.ts';
import { annotateWebImage } from './web-annotate.ts';
import { decodeWebImage, type WebImage } from './web-image.ts';

/** The options of `OnnxDetector.load` with onnxruntime-web. */
export interface WebLoadOptions {
  /**
   * The execution providers by the names of onnxruntime-web. The first one that works is used.
   * @default WebGPU if the browser has it, then `wasm`
   */
  executionProviders?: readonly string[];
  /**
   * The module of onnxruntime-web.
   * @default the module of `import('onnxruntime-web')`
   */
  runtime?: OnnxRuntime;
}

/** Longer than any file of ours: no ArrayBuffer of a browser need be as long. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/**
 * A detector from a file of `exportDetector` (formats `onnx` and `transformersjs`) on onnxruntime-web. It has the interface of `Detector`
 * in a page. Images stay in the page.
 */
export class OnnxDetector {
  /** The names of the classes. */
  readonly classes: readonly string[];
  /** The configuration of the detector that the file was made from. */
  readonly config: Readonly<DetectorConfig>;
  /** The precision of backbone and pyramid. */
  readonly precision: 'fp32' | 'fp16';
  readonly #lifetime: Lifetime;

  private constructor({ classes, config, precision }: OnnxMetadata, model: OnnxModel) {
    this.classes = classes;
    this.config = config;
    this.precision = precision;
    this.#lifetime = new Lifetime(model);
  }

  /**
   * Loads a detector from a file that the user has chosen, from a URL, or from bytes.
   *
   * @throws {TypeError} for a wrong argument
   * @throws {DetectorError} `WEIGHTS_NOT_FOUND`; `ONNX_INVALID` for a damaged file, or one that this library did not export;
   * `ONNX_RUNTIME_NOT_FOUND` without onnxruntime-web; `ONNX_RUNTIME_FAILED`
   */
  static async load(file: string | Blob | Uint8Array, options: WebLoadOptions = {}): Promise<OnnxDetector> {
    const { runtime, executionProviders } = checkKeys('options', options, [
      'runtime',
      'executionProviders',
    ]) as WebLoadOptions;
    const providers = executionProviders ?? (hasWebGpu() ? ['webgpu', 'wasm'] : ['wasm']);
    checkSequence('executionProviders', providers, 1, 8).forEach((each, i) => {
      checkString(`executionProviders[${i}]`, each);
    });
    const bytes = await readBytes(file);
    const name = typeof file === 'string' ? file : ((file as Partial<File>).name ?? 'The model');
    const { metadata, externalData } = await readModel(name, bytes);
    if (externalData !== undefined) {
      throw new DetectorError(
        'ONNX_INVALID',
        `${name} has its weights in another file, which a page cannot load. Export with --half`,
      );
    }
    const session = { executionProviders: providers, logSeverityLevel: 3 };
    return new OnnxDetector(metadata, await OnnxModel.open(runtime ?? (await loadRuntime()), bytes, metadata, session));
  }

  /**
   * Detects the objects of an image, best first. Boxes are in pixels of the image, upright unless `autoOrient` is false.
   *
   * @throws {TypeError|RangeError} for a wrong argument, and for limits beyond those of a file with NMS inside
   * @throws {DetectorError} `IMAGE_UNREADABLE`, `IMAGE_TOO_LARGE`, `DISPOSED`, `ONNX_RUNTIME_FAILED`
   */
  detect(image: WebImage, options?: DetectOptions): Promise<Detection[]>;
  /** Detects the objects of each image, in the order of the images. The whole call rejects if one image cannot be read. */
  detect(images: readonly WebImage[], options?: DetectOptions): Promise<Detection[][]>;
  async detect(input: WebImage | readonly WebImage[], options: DetectOptions = {}) {
    return await this.#lifetime.use((model) => detectImages(model, input, options, decodeWebImage));
  }

  /** Draws detections into an image and encodes it as a `Blob`, like `Detector.annotate`. */
  async annotate(image: WebImage, detections?: readonly Detection[], options: AnnotateOptions = {}): Promise<Blob> {
    const { signal, given } = takeSignal(options);
    signal?.throwIfAborted();
    const decoded = await decodeWebImage(image, true);
    const annotated = await annotateWebImage(decoded, detections ?? (await this.detect(decoded, { signal })), given);
    signal?.throwIfAborted();
    return annotated;
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

function hasWebGpu(): boolean {
  return (globalThis as { navigator?: { gpu?: unknown } }).navigator?.gpu !== undefined;
}

async function loadRuntime(): Promise<OnnxRuntime> {
  try {
    return (await import('onnxruntime-web')) as unknown as OnnxRuntime;
  } catch (error) {
    throw new DetectorError(
      'ONNX_RUNTIME_NOT_FOUND',
      `onnxruntime-web cannot be loaded, which runs ONNX files in a page: ${messageOf(error)}. Install it: npm install onnxruntime-web`,
      { cause: error },
    );
  }
}

async function readBytes(file: string | Blob | Uint8Array): Promise<Uint8Array> {
  if (file instanceof Uint8Array) return file;
  if (file instanceof Blob) {
    if (file.size > MAX_MODEL_BYTES)
      throw new DetectorError('ONNX_INVALID', `The model has ${file.size} bytes, more than any of ours`);
    return new Uint8Array(await file.arrayBuffer());
  }
  const url = checkString('file', file);
  const missing = (reason: string, cause?: unknown) =>
    new DetectorError('WEIGHTS_NOT_FOUND', `Cannot load ${url}: ${reason}`, { cause });
  const response = await fetch(url).catch((error: unknown) => {
    throw missing(messageOf(error), error);
  });
  if (!response.ok) throw missing(`the server answers with status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
