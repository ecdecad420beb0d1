import { makeBatch } from '../binding.ts';
import type { Detection } from '../boxes/detection.ts';
import { placementOf } from '../boxes/letterbox.ts';
import type { RgbImage } from '../images/image.ts';
import type { PostprocessOptions } from '../model/postprocess-options.ts';
import { internalsOf } from './detector-internals.ts';
import { unpackDetections } from './flat-detections.ts';
import type { ModelDescription } from './model-files.ts';
import { nativePostprocess } from './native-postprocess.ts';

/** The detections of images that are decoded, which go through the model together; their pixels are given up. */
export async function detectDecoded(
  detector: ModelDescription,
  images: readonly RgbImage[],
  limits: Pick<PostprocessOptions, 'scoreThreshold' | 'maxDetections'>,
): Promise<Detection[][]> {
  const { addon, handle } = internalsOf(detector);
  const { imageSize: size, resize } = detector.config;
  const batch = await makeBatch(addon, {
    size,
    images: images.map((image) => ({ ...image, flip: false, ...placementOf(image, size, resize) })),
    counts: new Int32Array(images.length),
    boxes: new Float32Array(0),
    labels: new Int32Array(0),
  });
  try {
    return unpackDetections(
      await addon.detect(handle, batch, nativePostprocess(detector.config, limits)),
      detector.classes,
    );
  } finally {
    addon.disposeBatch(batch);
  }
}
