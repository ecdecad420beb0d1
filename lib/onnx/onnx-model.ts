import type { Size } from '../boxes/box.ts';
import type { Detection } from '../boxes/detection.ts';
import { filledArea, GREY } from '../boxes/letterbox.ts';
import type { RgbImage } from '../images/image.ts';
import { resizeBilinear } from '../images/resize.ts';
import type { DetectorConfig } from '../model/config.ts';
import type { PostprocessOptions } from '../model/postprocess-options.ts';
import type { OnnxMetadata } from './metadata.ts';
import { queriesToRows } from './query-rows.ts';
import { type OnnxRuntime, type RuntimeSession, type RuntimeTensor, runtimeFailure } from './runtime.ts';
import { type DetectionRows, selectDetections } from './select-detections.ts';

export type DetectionLimits = Pick<PostprocessOptions, 'scoreThreshold' | 'maxDetections'>;

/** A file of ours in a runtime: images in, detections out. */
export class OnnxModel {
  readonly metadata: OnnxMetadata;
  readonly #runtime: OnnxRuntime;
  readonly #session: RuntimeSession;

  private constructor(metadata: OnnxMetadata, runtime: OnnxRuntime, session: RuntimeSession) {
    this.metadata = metadata;
    this.#runtime = runtime;
    this.#session = session;
  }

  /**
   * `model` has passed `readModel`: its bytes, or its path where its weights are in another file.
   * @throws DetectorError `ONNX_RUNTIME_FAILED`
   */
  static async open(runtime: OnnxRuntime, model: Uint8Array | string, metadata: OnnxMetadata, options?: object) {
    try {
      return new OnnxModel(metadata, runtime, await runtime.InferenceSession.create(model, options));
    } catch (error) {
      throw runtimeFailure('The ONNX runtime cannot load the model', error);
    }
  }

  /** The detections of each image, best first, in pixels of the image. */
  async detect(images: readonly RgbImage[], limits: DetectionLimits): Promise<Detection[][]> {
    const { result, config, classes } = this.metadata;
    const atOnce = result === 'none' ? images.length : 1;
    const all: DetectionRows[] = [];
    for (let begin = 0; begin < images.length; begin += atOnce) {
      all.push(...(await this.#run(images.slice(begin, begin + atOnce), beforeGrey(limits, config))));
    }
    return all.map((rows, i) => toDetections(rows, classes, config, images[i]!).slice(0, limits.maxDetections));
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  async #run(images: readonly RgbImage[], limits: DetectionLimits): Promise<DetectionRows[]> {
    const feeds = { [this.#session.inputNames[0]!]: this.#input(images) };
    const outputs = await this.#session.run(feeds).catch((error: unknown) => {
      throw runtimeFailure('The ONNX runtime cannot run the model', error);
    });
    const { result, config, boxesOfMaps, classes } = this.metadata;
    if (result === 'none') {
      const options = { ...config.postprocess, ...limits };
      return images.map((_, i) =>
        selectDetections(
          { scores: imageOf(outputs.scores!, i), boxes: imageOf(outputs.boxes!, i), boxesOfMaps },
          options,
        ),
      );
    }
    const rows = result === 'queries' ? queriesToRows(outputs, classes.length, config.imageSize) : toRows(outputs);
    return [bestOf(rows, limits)];
  }

  /** uint8 [N, H, W, 3], or float [N, 3, H, W]. */
  #input(images: readonly RgbImage[]): RuntimeTensor {
    const { config, input } = this.metadata;
    const { width, height } = config.imageSize;
    const pixels = width * height;
    const bytes = new Uint8Array(images.length * pixels * 3);
    images.forEach((image, i) => {
      bytes.set(fitted(image, config), i * pixels * 3);
    });
    if (input === 'uint8') return new this.#runtime.Tensor('uint8', bytes, [images.length, height, width, 3]);
    const floats = new Float32Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) {
      const [pixel, channel] = [Math.floor(i / 3), i % 3];
      const image = Math.floor(pixel / pixels);
      floats[(image * 3 + channel) * pixels + (pixel % pixels)] = bytes[i]! / 255;
    }
    return new this.#runtime.Tensor('float32', floats, [images.length, 3, height, width]);
  }
}

type Input = Pick<DetectorConfig, 'imageSize' | 'resize'>;

function fitted(image: RgbImage, { imageSize: size, resize }: Input): Uint8Array {
  const fits = (area: Size, whole: Size) => area.width === whole.width && area.height === whole.height;
  const area = filledArea(image, size, resize);
  const resized = fits(image, area) ? image.data : resizeBilinear(image, area);
  return fits(area, size) ? resized : beside(resized, area, size);
}

/** Of a letterbox the detections in the grey are left out before they are counted. */
function beforeGrey(limits: DetectionLimits, { resize }: Input): DetectionLimits {
  return resize === 'letterbox' ? { ...limits, maxDetections: Number.MAX_SAFE_INTEGER } : limits;
}

/** Pixels in the upper left corner of a grey image. */
function beside(pixels: Uint8Array, area: Size, size: Size): Uint8Array {
  const result = new Uint8Array(size.width * size.height * 3).fill(GREY[0]!);
  const row = area.width * 3;
  for (let y = 0; y < area.height; y++) result.set(pixels.subarray(y * row, (y + 1) * row), y * size.width * 3);
  return result;
}

function imageOf({ data, dims }: RuntimeTensor, image: number): Float32Array {
  const length = dims[1]! * dims[2]!;
  return (data as Float32Array).subarray(image * length, (image + 1) * length);
}

function toRows({ boxes, scores, labels }: Record<string, RuntimeTensor>): DetectionRows {
  return {
    boxes: boxes!.data as Float32Array,
    scores: scores!.data as Float32Array,
    labels: Int32Array.from(labels!.data as BigInt64Array, Number),
  };
}

/** Of rows that are best first. */
function bestOf(
  { boxes, scores, labels }: DetectionRows,
  { scoreThreshold, maxDetections }: DetectionLimits,
): DetectionRows {
  const below = scores.findIndex((score) => !(score > Math.fround(scoreThreshold)));
  const count = Math.min(below < 0 ? scores.length : below, maxDetections);
  return { boxes: boxes.slice(0, 4 * count), scores: scores.slice(0, count), labels: labels.slice(0, count) };
}

/** In pixels of the image, as native/ops/postprocess.cc: what lies in the grey is left out, and what reaches into it is clipped. */
function toDetections({ boxes, scores, labels }: DetectionRows, classes: readonly string[], input: Input, image: Size) {
  const { imageSize: size, resize } = input;
  const area = filledArea(image, size, resize);
  const [x, y] = [Math.fround(image.width / area.width), Math.fround(image.height / area.height)];
  const isBeside = (i: number) =>
    (area.width < size.width && boxes[4 * i]! >= area.width) ||
    (area.height < size.height && boxes[4 * i + 1]! >= area.height);
  const side = (i: number, corner: number) => {
    const [most, ratio] = corner % 2 === 0 ? [area.width, x] : [area.height, y];
    return Math.fround(Math.min(boxes[4 * i + corner]!, most) * ratio);
  };
  return Array.from(scores, (score, i): Detection[] => {
    const box = { xmin: side(i, 0), ymin: side(i, 1), xmax: side(i, 2), ymax: side(i, 3) };
    return isBeside(i) ? [] : [{ label: classes[labels[i]!]!, score, box }];
  }).flat();
}
