import { PURPOSE, random } from '../base/random.ts';
import type { Size } from '../boxes/box.ts';
import { imageSides } from '../model/config.ts';

/** How many optimizer steps see images of one size before the next is drawn, as YOLOv2 (Redmon and Farhadi 2017). */
const STEPS_OF_SIZE = 10;

/** Where a step is in a run; both count from 0. */
interface StepPlace {
  seed: number;
  epoch: number;
  step: number;
}

/** The sizes of a multi-scale training: in the proportions of the model's size as far as multiples of 32 allow, the smallest first. */
export function trainingSizes({ width, height }: Size, [from, to]: readonly [number, number]): Size[] {
  const { multiple, min, max } = imageSides;
  const longer = Math.max(width, height);
  const first = Math.ceil((from * longer) / multiple);
  const count = Math.max(0, Math.floor((to * longer) / multiple) - first + 1);
  const side = (pixels: number, scale: number) =>
    Math.min(max, Math.max(min, Math.round((pixels * scale) / multiple) * multiple));
  const sizes = Array.from({ length: count }, (_, i) => {
    const scale = ((first + i) * multiple) / longer;
    return { width: side(width, scale), height: side(height, scale) };
  });
  return sizes.filter((size, i) => size.width !== sizes[i - 1]?.width || size.height !== sizes[i - 1]?.height);
}

/** The size of a step: a function of its arguments alone, so that a resumed run has the same. */
export function sizeOfStep(sizes: readonly Size[], { seed, epoch, step }: StepPlace): Size {
  const drawn = random(seed, epoch, Math.floor(step / STEPS_OF_SIZE), PURPOSE.multiscale);
  return sizes[Math.floor(drawn * sizes.length)]!;
}
