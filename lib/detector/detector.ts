import { checkString, withoutUndefined } from '../base/check.ts';
import { resolve } from '../base/option.ts';
import { takeSignal } from '../base/signal.ts';
import { type NativeDetectorOptions, native } from '../binding.ts';
import type { Detection } from '../boxes/detection.ts';
import type { AnnotateOptions } from '../images/draw.ts';
import { decodeImage, type ImageInput, type RgbImage } from '../images/image.ts';
import type { DetectorConfig } from '../model/config.ts';
import type { VideoFrame, VideoOptions } from '../video/options.ts';
import { readSafetensorsHeader } from '../weights/safetensors.ts';
import { type Checkpoint, readCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { checkComputeOptions, type Precision } from './compute-options.ts';
import { createHandle } from './create-handle.ts';
import { resolveOptions } from './create-options.ts';
import { detectDecoded } from './detect-decoded.ts';
import { checkDetectOptions, type DetectOptions } from './detect-options.ts';
import { type DetectorInternals, internalsOf, keepInternals, takeInternals } from './detector-internals.ts';
import { type DetectorOptions, type LoadOptions, loadTable } from './detector-options.ts';
import type { ExportReport } from './export.ts';
import type { ExportOptions } from './export-options.ts';
import { describeFallback, useSound } from './history.ts';
import { detectInBatches } from './in-batches.ts';
import { describeModel, filesOf, readModel } from './model-files.ts';
import { checkSize, readState, readWeights, type WeightReport } from './model-state.ts';
import type { ModelSummary, SummaryOptions } from './summary.ts';
import { type Program, readTorchScript } from './torchscript-backbone.ts';

type DetectorDescription = Pick<Detector, 'config' | 'classes' | 'device' | 'weightReport'>;

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

/**
 * An object detector on one device: a backbone with a detection head, SSD or RetinaNet. Its methods may be called concurrently.
 *
 * @example
 * const detector = await Detector.load('runs/train/best');
 * const detections = await detector.detect('photo.jpg', { scoreThreshold: 0.3 });
 */
export class Detector {
  /**
   * The names of the classes, in the order of the model's labels. They do not contain the background, which is label 0 of the model:
   * `classes[0]` is label 1.
   */
  readonly classes: readonly string[];
  /** The complete configuration of the model, with the values of its preset. */
  readonly config: Readonly<DetectorConfig>;
  /** The device that the model computes on: `cpu`, `cuda` or `cuda:N`. */
  readonly device: string;
  /** The number type that the backbone computes in. */
  readonly precision: Exclude<Precision, 'auto'>;
  /** The report on the file of `weights`; undefined without such a file. */
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
    keepInternals(this, own);
  }

  /**
   * Creates a detector for training. Its backbone has the given or random weights. Its head is random unless the weights contain one that
   * fits.
   *
   * @throws {TypeError|RangeError} for a wrong option, naming it
   * @throws {DetectorError} `WEIGHTS_NOT_FOUND`, `WEIGHTS_INVALID`, `WEIGHTS_MISMATCH`, `TORCHSCRIPT_REFUSED`, `DEVICE_UNAVAILABLE`,
   * `OUT_OF_MEMORY`; on first use also `LIBTORCH_NOT_FOUND`, `LIBTORCH_INCOMPATIBLE` or `ADDON_LOAD_FAILED`
   */
  static async create(options: DetectorOptions): Promise<Detector> {
    const { backbone, classes, config, compute, seed, weights, trusted, learning, fileClasses } =
      await resolveOptions(options);
    const program = typeof backbone === 'string' ? undefined : await readTorchScript(backbone.torchscript, trusted);
    const own = await build(config, classes, compute, { seed }, program);
    const otherClasses = fileClasses && { ours: classes, theirs: fileClasses };
    const reading = weights === undefined ? undefined : readWeights(own.addon, own.handle, weights, otherClasses);
    const weightReport = await orDispose(own, reading);
    const pretrained = weightReport !== undefined || program !== undefined;
    const origin = { backbone, ...(weights !== undefined && { weights }) };
    const description = { config, classes, device: compute.device, weightReport };
    return new Detector(description, { ...own, pretrained, learning, origin });
  }

  /**
   * Loads a trained detector from a checkpoint directory, for example `best` of a training run. Of a run whose checkpoint is damaged it
   * loads the newest one that is sound, and says so through `onWarning`.
   *
   * @throws {TypeError|RangeError} for a wrong option, naming it
   * @throws {DetectorError} `CHECKPOINT_NOT_FOUND`; `CHECKPOINT_CORRUPT` for a file that is missing, cut short or changed;
   * `CHECKPOINT_MISMATCH` for a newer format; `IO_ERROR` for a file that cannot be read now; or as `create`
   */
  static async load(dir: string, options: LoadOptions = {}): Promise<Detector> {
    const { onWarning = process.emitWarning } = resolve(loadTable, options);
    const addon = native();
    addon.catch(() => {}); // LibTorch is loaded while the files are checked, whose errors come first
    const used = await useSound(checkString('dir', dir), (path) =>
      readCheckpoint(
        path,
        async (checkpoint) => ({ detector: await Detector.#read(path, checkpoint, options), checkpoint }),
        ({ detector }) => detector.dispose(),
      ),
    );
    const { detector, checkpoint } = used.result;
    if (used.damage) onWarning(describeFallback(used, checkpoint));
    return detector;
  }

  /** A detector of a checkpoint whose files were checked. */
  static async #read(dir: string, checkpoint: Checkpoint, options: LoadOptions): Promise<Detector> {
    const { trustTorchScript: trusted, asTrained } = resolve(loadTable, options);
    const { onWarning: _, ...own } = withoutUndefined(options);
    const { config, classes, learning } = readModel(dir, checkpoint.manifest);
    const { training } = checkpoint.manifest;
    const compute = checkComputeOptions({ ...(asTrained && training?.compute), ...own });
    const scripted = config.backbone === 'torchscript';
    const program = scripted ? await readTorchScript(checkpoint.path('backbone.torchscript'), trusted) : undefined;
    const weights = checkpoint.path('model.safetensors');
    const header = await readSafetensorsHeader(weights);
    checkSize(weights, header, config, classes);
    const built = await build(config, classes, compute, {}, program);
    await orDispose(built, readState(built.addon, built.handle, 'model', weights, header));
    const trainedEpochs = training?.epoch ?? 0;
    const description = { config, classes, device: compute.device, weightReport: undefined };
    return new Detector(description, { ...built, trainedEpochs, pretrained: true, learning });
  }

  /**
   * Detects the objects of an image, best first. Boxes are in pixels of the image, upright unless `autoOrient` is false.
   *
   * @throws {TypeError|RangeError} for a wrong argument, naming it
   * @throws {DetectorError} `IMAGE_UNREADABLE`, `IMAGE_UNSUPPORTED` or `IMAGE_TOO_LARGE` (above 120 megapixels), naming the file;
   * `OUT_OF_MEMORY`, after which the next call works; `DISPOSED`
   * @throws the reason of `signal`, checked before each batch and after its images are decoded
   */
  detect(image: ImageInput, options?: DetectOptions): Promise<Detection[]>;
  /** Detects the objects of each image, in the order of the images. The whole call rejects if one image cannot be read. */
  detect(images: readonly ImageInput[], options?: DetectOptions): Promise<Detection[][]>;
  async detect(
    input: ImageInput | readonly ImageInput[],
    options: DetectOptions = {},
  ): Promise<Detection[] | Detection[][]> {
    const { signal, given } = takeSignal(options);
    const { autoOrient, batchSize, ...limits } = checkDetectOptions(given);
    const decode = (image: ImageInput) => decodeImage(image, { autoOrient });
    const detect = (images: RgbImage[]) => detectDecoded(this, images, limits);
    return detectInBatches(input, { batchSize, signal, decode, detect });
  }

  /**
   * Draws boxes, labels and scores into a copy of an image, upright by its EXIF orientation, and encodes it as JPEG or PNG. Boxes are
   * clipped to the image.
   *
   * @param detections the detections to draw. If they are left out, `detect` finds them with its defaults.
   * @throws the errors of `detect`
   */
  async annotate(image: ImageInput, detections?: readonly Detection[], options: AnnotateOptions = {}): Promise<Buffer> {
    const { signal, given } = takeSignal(options);
    signal?.throwIfAborted();
    const { annotateImage } = await import('../images/draw.ts');
    const decoded = await decodeImage(image, { autoOrient: true });
    const annotated = await annotateImage(decoded, detections ?? (await this.detect(decoded, { signal })), given);
    signal?.throwIfAborted();
    return annotated;
  }

  /**
   * Detects the objects of each frame of a video, in order. The source is a file, a URL, an RTSP stream or a camera. The system's ffmpeg
   * decodes it. With `output` the video is also written to a file with its boxes.
   *
   * @throws {DetectorError} `FFMPEG_NOT_FOUND`, `FFMPEG_FAILED`, `VIDEO_UNREADABLE`, `VIDEO_STALLED`, `OUTPUT_NOT_WRITABLE`; or those of
   * `detect`
   */
  async *detectVideo(source: string, options?: VideoOptions): AsyncGenerator<VideoFrame, void, void> {
    const { detectVideo } = await import('../video/detect-video.ts');
    yield* detectVideo(this, source, options);
  }

  /** The layer table of the model, with its numbers of parameters and of default boxes. */
  async summary(options: SummaryOptions = {}): Promise<ModelSummary> {
    const { addon, handle } = internalsOf(this);
    const { summarize } = await import('./summary.ts');
    const tensors = await addon.describeState(handle, 'model');
    return summarize(this, tensors, addon.featureMaps(handle), options);
  }

  /**
   * Saves a checkpoint into a directory. It replaces an existing checkpoint completely or not at all.
   *
   * @throws {DetectorError} `OUTPUT_NOT_WRITABLE`, also if the directory contains other files; `DISPOSED`
   */
  async save(dir: string): Promise<void> {
    await saveCheckpoint(checkString('dir', dir), describeModel(this), filesOf(this));
  }

  /**
   * Writes the weights to one file for other programs: whole or not at all, instead of what has that name. `ExportOptions.format` says
   * what is in the file; it follows from the extension of `path` if it is left out.
   *
   * A detector with a TorchScript backbone can be written as `torchscript`, with that program in it, or as whole safetensors
   * (`backbone.` + the names in its program, without the program): neither the article nor the release has names for it.
   *
   * @example
   * await detector.export('detector.safetensors');
   * await detector.export('backbone.pth', { part: 'backbone' });
   *
   * @throws {TypeError|RangeError} for a wrong option, and for a format in which the model would detect otherwise
   * @throws {DetectorError} `OUTPUT_NOT_WRITABLE`; `DISPOSED`; `WEIGHTS_MISMATCH` for a TorchScript backbone whose `forward` does not
   * say what it returns
   * @throws the reason of `signal` when it is aborted
   */
  async export(path: string, options: ExportOptions = {}): Promise<ExportReport> {
    const { writeExport } = await import('./export.ts');
    return writeExport(this, path, options);
  }

  /** Frees the native memory. Running calls still end; later calls reject with `DISPOSED`. It is safe to repeat. */
  dispose(): void {
    const own = takeInternals(this);
    if (!own) return;
    own.addon.disposeDetector(own.handle);
    void own.addon.releaseMemory();
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

async function build(
  config: DetectorConfig,
  classes: readonly string[],
  compute: ReturnType<typeof checkComputeOptions>,
  initial: Pick<NativeDetectorOptions, 'seed'>,
  program: Program = {},
): Promise<DetectorInternals> {
  const addon = await native();
  const { threads, ...place } = compute;
  if (threads !== undefined) await addon.setThreads(threads);
  const handle = await createHandle(addon, { config, classes }, { ...program, ...initial, ...place });
  return {
    addon,
    handle,
    torchscript: program.torchscript,
    trainedEpochs: 0,
    pretrained: false,
    learning: {},
    origin: {},
  };
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
