import type { Size } from './box.ts';

/**
 * How an image is brought to the size of a model: `stretch` fills it and may change the image's proportions; `letterbox` keeps them, in
 * the upper left corner, with grey beside the image (as MMDetection pads).
 */
export const resizeNames = ['stretch', 'letterbox'] as const;
export type ResizeName = (typeof resizeNames)[number];

/** The grey beside an image: red, green and blue, 0 to 255. */
export const GREY: readonly number[] = [114, 114, 114];

/** The part of a model's input that an image fills, from the upper left corner on, in whole pixels. */
export function filledArea(image: Size, input: Size, resize: ResizeName = 'stretch'): Size {
  if (resize === 'stretch') return { width: input.width, height: input.height };
  const scale = Math.min(input.width / image.width, input.height / image.height);
  const side = (key: keyof Size) => Math.min(input[key], Math.max(1, Math.floor(image[key] * scale + 0.5)));
  return { width: side('width'), height: side('height') };
}

/** The place of an image in an image of a batch; empty if it fills all of it. */
export function placementOf(image: Size, input: Size, resize: ResizeName = 'stretch') {
  return resize === 'stretch' ? {} : { area: filledArea(image, input, resize), fill: GREY };
}
