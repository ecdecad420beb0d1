import { takeSignal } from '../base/signal.ts';
import type { Detection } from '../boxes/detection.ts';
import { checkDetectOptions, type DetectOptions } from '../detector/detect-options.ts';
import { detectInBatches } from '../detector/in-batches.ts';
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
  const checked = checkLimits(model.metadata, limits, (given.maxDetections ?? undefined) !== undefined);
  return detectInBatches(input, {
    ...{ batchSize, signal },
    decode: (image) => decode(image, autoOrient),
    detect: (images) => model.detect(images, checked),
  });
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
