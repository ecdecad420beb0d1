import { checkInteger, checkKeys, checkOneOf } from '../base/check.ts';
import type { Size } from '../boxes/box.ts';
import { type AnnotateOptions, type Annotation, overlaySvg } from '../images/draw.ts';
import type { RgbImage } from '../images/image.ts';

/** Of the page, as far as it is needed. */
interface Page {
  OffscreenCanvas: new (width: number, height: number) => Canvas;
  ImageData: new (data: Uint8ClampedArray, width: number, height: number) => object;
  Image: new () => { src: string; decode(): Promise<void> };
}

interface Canvas {
  getContext(kind: '2d'): {
    drawImage(image: object, x: number, y: number): void;
    putImageData(image: object, x: number, y: number): void;
  };
  convertToBlob(options: { type: string; quality: number }): Promise<Blob>;
}

const page = globalThis as unknown as Page;

/** `annotateImage` in a page: the same drawing, encoded by the browser. */
export async function annotateWebImage(
  image: RgbImage,
  detections: readonly Annotation[],
  options: AnnotateOptions = {},
): Promise<Blob> {
  checkKeys('options', options, ['format', 'quality']);
  const format = checkOneOf('format', options.format ?? 'jpeg', ['jpeg', 'png']);
  const quality = checkInteger('quality', options.quality ?? 92, 1, 100);
  const { width, height } = image;
  const canvas = new page.OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  context.putImageData(new page.ImageData(toRgba(image), width, height), 0, 0);
  const overlay = overlaySvg(width, height, detections);
  if (overlay !== undefined) context.drawImage(await renderSvg(overlay), 0, 0);
  return await canvas.convertToBlob({ type: `image/${format}`, quality: quality / 100 });
}

async function renderSvg(svg: string): Promise<object> {
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    const image = new page.Image();
    image.src = url;
    await image.decode();
    return image;
  } finally {
    URL.revokeObjectURL(url);
  }
}

function toRgba({ data, width, height }: RgbImage & Size): Uint8ClampedArray {
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) rgba.set(data.subarray(from, from + 3), to);
  return rgba;
}
