import { writeFile } from 'node:fs/promises';
import { checkBoolean, checkKeys, checkString, withoutUndefined, wrongArgument } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { version } from '../base/version.ts';
import { type DetectorHandle, makeBatch, type NativeAddon, type NativeDetectorOptions, native } from '../binding.ts';
import type { Detection } from '../boxes/detection.ts';
import type { AnnotateOptions } from '../images/draw.ts';
import { decodeImage, type ImageInput, type RgbImage } from '../images/image.ts';
import { checkClasses, withBackground } from '../model/class-list.ts';
import { checkDetectorConfig, type DetectorConfig } from '../model/config.ts';
import type { VideoFrame, VideoOptions } from '../video/options.ts';
import { readSafetensorsHeader } from '../weights/safetensors.ts';
import { type CheckpointContent, type CheckpointManifest, openCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { checkComputeOptions, computeKeys, type Precision } from './compute-options.ts';
import { resolveOptions } from './create-options.ts';
import { checkDetectOptions, type DetectOptions } from './detect-options.ts';
import type { DetectorOptions, LoadOptions } from './detector-options.ts';
import { unpackDetections } from './flat-detections.ts';
import { readState, readWeights, type WeightReport, writeState } from './model-state.ts';
import type { ModelSummary } from './summary.ts';
import { type Program, readTorchScript } from './torchscript-backbone.ts';

/** What Trainer and Evaluator need of a detector; not part of the public interface. */
export interface DetectorInternals {
  addon: NativeAddon;
  handle: DetectorHandle;
  /** The archive of a TorchScript backbone, which is a part of its checkpoints. */
  torchscript?: Buffer | undefined;
  /** What the checkpoint says that the detector was loaded from, or 0. */
  trainedEpochs: number;
  /** Whether the backbone began with weights from a file. */
  pretrained: boolean;
}

type DetectorDescription = Pick<Detector, 'config' | 'classes' | 'device' | 'weightReport'>;

const internals = new WeakMap<Detector, DetectorInternals>();

/** Throws `DISPOSED` for a detector that was given up. */
export function internalsOf(detector: Detector): DetectorInternals {
  const found = internals.get(detector);
  if (found) return found;
  if (!(detector instanceof Detector)) throw new TypeError(wrongArgument('detector', 'Detector', detector));
  throw new DetectorError('DISPOSED', 'The Detector was used after dispose(); create or load another');
}

let construct: (description: DetectorDescription, own: DetectorInternals) => Detector;

/**
 * Another detector, with the weights and the optimizer's state that this one has now, while this one is trained on: to evaluate and
 * to save. It shares all that is not trained, and is to be disposed of. Rejects with `OUT_OF_MEMORY`; not part of the public interface.
 */
export async function snapshotOf(detector: Detector): Promise<Detector> {
  const own = internalsOf(detector);
  const handle = await own.addon.takeSnapshot(own.handle);
  return construct(detector, { ...own, handle });
}

/** An object detector: a backbone with a head, SSD's or RetinaNet's, on one device. Every method may be called concurrently. */
export class Detector {
  /** The names of the classes, in the order of the model's labels. They have no background: it is label 0 of the model, and `classes[0]` is label 1. */
  readonly classes: readonly string[];
  /** The whole configuration of the model, with what the preset says. */
  readonly config: Readonly<DetectorConfig>;
  /** `cpu`, `cuda` or `cuda:N`. */
  readonly device: string;
  /** What the backbone computes in: `auto` is settled by now. */
  readonly precision: Exclude<Precision, 'auto'>;
  /** What the file of `weights` had for the model, if there was one. */
  readonly weightReport: WeightReport | undefined;

  static {
    construct = (description, own) => new Detector(description, own);
  }

  private constructor({ config, classes, device, weightReport }: DetectorDescription, own: DetectorInternals) {
    this.config = config;
    this.classes = classes;
    this.device = device;
    this.weightReport = weightReport;
    this.precision = own.addon.precision(own.handle) as Detector['precision'];
    internals.set(this, own);
  }

  /**
   * A detector to be trained: a backbone with the given or random weights, and a random head unless the weights have one that fits.
   *
   * Rejects with `TypeError`/`RangeError` for wrong options and with `DetectorError`: `WEIGHTS_NOT_FOUND`, `WEIGHTS_INVALID`,
   * `WEIGHTS_MISMATCH`, `TORCHSCRIPT_REFUSED`, `DEVICE_UNAVAILABLE`, `OUT_OF_MEMORY`, or `LIBTORCH_NOT_FOUND`,
   * `LIBTORCH_INCOMPATIBLE` or `ADDON_LOAD_FAILED` on first use.
   */
  static async create(options: DetectorOptions): Promise<Detector> {
    const { backbone, classes, config, compute, seed, weights, trusted } = await resolveOptions(options);
    const program = typeof backbone === 'string' ? undefined : await readTorchScript(backbone.torchscript, trusted);
    const own = await build(config, classes, compute, { seed }, program);
    const reading = weights === undefined ? undefined : readWeights(own.addon, own.handle, weights);
    const weightReport = await orDispose(own, reading);
    const pretrained = weightReport !== undefined || program !== undefined;
    return new Detector({ config, classes, device: compute.device, weightReport }, { ...own, pretrained });
  }

  /**
   * A trained detector from a checkpoint directory, which needs nothing else.
   *
   * Rejects with `CHECKPOINT_NOT_FOUND`, `CHECKPOINT_CORRUPT` (a file is missing, cut short, or has a flipped bit), or as `create`.
   */
  static async load(dir: string, options: LoadOptions = {}): Promise<Detector> {
    const given = checkKeys('options', options, ['asTrained', 'trustTorchScript', ...computeKeys]) as LoadOptions;
    checkComputeOptions(given);
    const asTrained = checkBoolean('asTrained', given.asTrained ?? false);
    const trusted = checkBoolean('trustTorchScript', given.trustTorchScript ?? false);
    const addon = native();
    addon.catch(() => {}); // LibTorch is loaded while the files are checked, whose errors come first
    const checkpoint = await openCheckpoint(checkString('dir', dir));
    const { config, classes } = readModel(dir, checkpoint.manifest);
    const { training } = checkpoint.manifest;
    const compute = checkComputeOptions({ ...(asTrained && training?.compute), ...withoutUndefined(given) });
    const scripted = config.backbone === 'torchscript';
    const program = scripted ? await readTorchScript(checkpoint.path('backbone.torchscript'), trusted) : undefined;
    const weights = checkpoint.path('model.safetensors');
    const header = await readSafetensorsHeader(weights);
    const own = await build(config, classes, compute, {}, program);
    await orDispose(own, readState(own.addon, own.handle, 'model', weights, header));
    const trainedEpochs = training?.epoch ?? 0;
    const description = { config, classes, device: compute.device, weightReport: undefined };
    return new Detector(description, { ...own, trainedEpochs, pretrained: true });
  }

  /**
   * The objects of an image, best first; boxes in pixels of the image (upright, unless `autoOrient` is false).
   *
   * Rejects with `TypeError`/`RangeError` for wrong arguments and with `DetectorError`: `IMAGE_UNREADABLE`, `IMAGE_UNSUPPORTED` or
   * `IMAGE_TOO_LARGE` (above 50 megapixels), naming the file; `OUT_OF_MEMORY`, after which the next call works; `DISPOSED`.
   */
  detect(image: ImageInput, options?: DetectOptions): Promise<Detection[]>;
  /** The objects of each image, in the order of the images. Rejects as a whole when one of them cannot be read. */
  detect(images: readonly ImageInput[], options?: DetectOptions): Promise<Detection[][]>;
  async detect(
    input: ImageInput | readonly ImageInput[],
    options: DetectOptions = {},
  ): Promise<Detection[] | Detection[][]> {
    const { autoOrient, batchSize, ...limits } = checkDetectOptions(options);
    const inputs = Array.isArray(input) ? (input as readonly ImageInput[]) : [input as ImageInput];
    const all: Detection[][] = [];
    for (let begin = 0; begin < inputs.length; begin += batchSize) {
      const images = await Promise.all(
        inputs.slice(begin, begin + batchSize).map((image) => decodeImage(image, { autoOrient })),
      );
      all.push(...(await this.#detectDecoded(images, limits)));
    }
    return Array.isArray(input) ? all : all[0]!;
  }

  /**
   * Draws boxes, labels and scores into a copy of an image (upright by its EXIF orientation): the bytes of a JPEG or PNG. Without
   * `detections` the image is looked at first, with the defaults of `detect`. Boxes are clipped to the image. Rejects as `detect`.
   */
  async annotate(image: ImageInput, detections?: readonly Detection[], options?: AnnotateOptions): Promise<Buffer> {
    const { annotateImage } = await import('../images/draw.ts');
    const decoded = await decodeImage(image, { autoOrient: true });
    return annotateImage(decoded, detections ?? (await this.detect(decoded)), options);
  }

  /**
   * The objects of each frame of a video, in order: of a file, a URL, an RTSP stream or a camera, by the system's ffmpeg. With
   * `output` it is written to a file with its boxes. See `VideoOptions`.
   *
   * Throws `FFMPEG_NOT_FOUND`, `FFMPEG_FAILED`, `VIDEO_UNREADABLE`, `VIDEO_STALLED`, `OUTPUT_NOT_WRITABLE`, or as `detect`.
   */
  async *detectVideo(source: string, options?: VideoOptions): AsyncGenerator<VideoFrame, void, void> {
    const { detectVideo } = await import('../video/detect-video.ts');
    yield* detectVideo(this, source, options);
  }

  /** The layer table; `fineTune` (default false: the backbone is frozen) says which parameters count as trainable. */
  async summary({ fineTune = false }: { fineTune?: boolean } = {}): Promise<ModelSummary> {
    const { addon, handle } = internalsOf(this);
    const { summarize } = await import('./summary.ts');
    const tensors = await addon.describeState(handle, 'model');
    return summarize(
      this.config,
      this.classes.length + 1,
      tensors,
      addon.featureMaps(handle),
      checkBoolean('fineTune', fineTune),
    );
  }

  /**
   * Saves a checkpoint directory: it replaces one that is there, whole or not at all. Rejects with `OUTPUT_NOT_WRITABLE`, also when
   * something other than a checkpoint has that name.
   */
  async save(dir: string): Promise<void> {
    await saveCheckpoint(checkString('dir', dir), describeModel(this), filesOf(this));
  }

  /** Frees the native memory; work that is under way still ends, later calls reject with `DISPOSED`. Safe to repeat. */
  dispose(): void {
    const own = internals.get(this);
    if (!own) return;
    internals.delete(this);
    own.addon.disposeDetector(own.handle);
    void own.addon.releaseMemory();
  }

  /** The same, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  async #detectDecoded(images: RgbImage[], limits: Required<Pick<DetectOptions, 'scoreThreshold' | 'maxDetections'>>) {
    const { addon, handle } = internalsOf(this);
    const batch = await makeBatch(addon, {
      size: this.config.imageSize,
      images: images.map((image) => ({ ...image, flip: false })),
      counts: new Int32Array(images.length),
      boxes: new Float32Array(0),
      labels: new Int32Array(0),
    });
    try {
      const options = { ...this.config.postprocess, ...limits };
      return unpackDetections(await addon.detect(handle, batch, options), this.classes);
    } finally {
      addon.disposeBatch(batch);
    }
  }
}

/** The part of a manifest that describes the model. */
export function describeModel(detector: Detector): CheckpointContent {
  return {
    createdBy: `dinov3-det ${version}`,
    classes: withBackground(detector.classes),
    model: { ...detector.config },
  };
}

/** What writes each file of a checkpoint of this model. */
export function filesOf(detector: Detector): Record<string, (path: string) => Promise<void>> {
  const { addon, handle, torchscript } = internalsOf(detector);
  return {
    'model.safetensors': (path) => writeState(addon, handle, 'model', path),
    ...(torchscript && { 'backbone.torchscript': (path: string) => writeFile(path, torchscript) }),
  };
}

function readModel(dir: string, manifest: CheckpointManifest): { config: DetectorConfig; classes: string[] } {
  try {
    return { config: checkDetectorConfig(manifest.model), classes: checkClasses('classes', manifest.classes) };
  } catch (error) {
    throw new DetectorError('CHECKPOINT_CORRUPT', `The manifest of ${dir} is not valid: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function build(
  config: DetectorConfig,
  classes: readonly string[],
  compute: ReturnType<typeof checkComputeOptions>,
  initial: Pick<NativeDetectorOptions, 'seed'>,
  program: Program = {},
): Promise<DetectorInternals> {
  const addon = await native();
  const { preset: _, postprocess: __, loss, assigner: ___, ...model } = config;
  const { threads, ...place } = compute;
  if (threads !== undefined) await addon.setThreads(threads);
  const scores = loss?.classification === 'focal' ? 'sigmoid' : 'softmax';
  const given = { ...model, scores, ...program, ...initial, ...place } as const;
  const handle = await addon.createDetector({ ...given, numClasses: classes.length + 1 });
  return { addon, handle, torchscript: program.torchscript, trainedEpochs: 0, pretrained: false };
}

/** A model whose weights cannot be had is given up at once: it may be large. */
async function orDispose<T>({ addon, handle }: DetectorInternals, reading: Promise<T> | undefined) {
  try {
    return await reading;
  } catch (error) {
    addon.disposeDetector(handle);
    throw error;
  }
}
