import { takeSignal } from '../base/signal.ts';
import type { Detection } from '../boxes/detection.ts';
import { checkDetectOptions, type DetectOptions } from '../detector/detect-options.ts';
import type { RgbImage } from '../images/image.ts';
import type { OnnxMetadata } from '../onnx/metadata.ts';
import type { DetectionLimits, OnnxModel } from '../onnx/onnx-model.ts';

type Decode<T> = (input: T, autoOrient: boolean) => Promise<RgbImage>;

/** `Detector.detect` on an ONNX model: of one image or of several, batch by batch. */
export async function detectImages<T>(
  model: OnnxModel,
  input: T | readonly T[],
  options: DetectOptions,
  decode: Decode<T>,
): Promise<Detection[] | Detection[][]> {
  const { signal, given } = takeSignal(options);
  const { autoOrient, batchSize, ...limits } = checkDetectOptions(given);
  const checked = checkLimits(
    model.metadata,
    limits,
    given.maxDetections !== undefined && given.maxDetections !== null,
  );
  const inputs = Array.isArray(input) ? (input as readonly T[]) : [input as T];
  const all: Detection[][] = [];
  for (let begin = 0; begin < inputs.length; begin += batchSize) {
    signal?.throwIfAborted();
    const images = await Promise.all(inputs.slice(begin, begin + batchSize).map((image) => decode(image, autoOrient)));
    signal?.throwIfAborted();
    all.push(...(await model.detect(images, checked)));
  }
  signal?.throwIfAborted();
  return Array.isArray(input) ? all : all[0]!;
}

/** A file with NMS inside gives no more than it was exported for. @throws RangeError */
function checkLimits({ result, config }: OnnxMetadata, limits: DetectionLimits, asked: boolean): DetectionLimits {
  if (result === 'none') return limits;
  const refuse = (name: string, range: string, found: number) => {
    throw new RangeError(
      `Expected ${name} ${range}, which is the limit of this ONNX file, but received ${found}. Export it with nms: 'none' (--nms none) ` +
        'for any limit',
    );
  };
  const { scoreThreshold, maxDetections } = config.postprocess;
  if (limits.scoreThreshold < scoreThreshold) refuse('scoreThreshold', `>= ${scoreThreshold}`, limits.scoreThreshold);
  if (asked && limits.maxDetections > maxDetections)
    refuse('maxDetections', `<= ${maxDetections}`, limits.maxDetections);
  return limits;
}
