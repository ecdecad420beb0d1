import type { AnalysedObject } from '../../lib/analysis/default-boxes/coverage.ts';
import type { RelativeBox } from '../../lib/analysis/default-boxes/default-box-grid.ts';
import { random } from '../../lib/base/random.ts';

const PLACES = 3000;

/** Runs a computation that may pause to its end. */
export function finish<T>(work: Generator<unknown, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** A box of relative sides from `min` to `max`, inside the image. */
export function randomBox(seed: number, index: number, min = 0.02, max = 1): RelativeBox {
  const draw = (use: number) => random(seed, index, use, PLACES);
  const [width, height] = [min + (max - min) * draw(0) ** 1.5, min + (max - min) * draw(1) ** 1.5];
  return { width, height, x: width / 2 + (1 - width) * draw(2), y: height / 2 + (1 - height) * draw(3) };
}

/** Images with one to four objects, whose sides are spread from a twentieth of the image's to all of it, as VOC's are. */
export function vocLikeImages(count: number, seed = 1): AnalysedObject[][] {
  return Array.from({ length: count }, (_, image) =>
    Array.from({ length: 1 + Math.floor(4 * random(seed, image, 0, PLACES + 1)) }, (_, i) => ({
      ...randomBox(seed, 10 * image + i, 0.05),
      label: 1,
    })),
  );
}
