import type { BackboneName } from '../../lib/model/config.ts';

/** What the train and predict benches run, in fields that both sides take as they are. */
export interface Workload {
  backbone: BackboneName;
  /** Images are squares. */
  side: number;
  /** Background included. */
  classes: number;
  /** Bias of the background's logit: it sets how many candidates an image has. With 7 a few hundred, as after training. */
  background: number;
}

/** The article's model for Pascal VOC. */
export const articleWorkload: Workload = { backbone: 'convnext_tiny', side: 640, classes: 21, background: 7 };

export interface Target {
  boxes: number[][];
  labels: number[];
}

/** Three objects an image, of the sizes that the article's default boxes find. */
export function makeTargets(images: number, { side, classes }: Workload): Target[] {
  return Array.from({ length: images }, (_, image) => {
    const objects = [0, 1, 2].map((object) => {
      const size = side * (0.13 + 0.03 * ((image + object) % 4));
      const [x, y] = [(side - size) * (0.1 + 0.4 * object), (side - size) * ((0.17 * (image + object)) % 1)];
      return { box: [x, y, x + size, y + size].map(Math.fround), label: 1 + ((7 * image + object) % (classes - 1)) };
    });
    return { boxes: objects.map(({ box }) => box), labels: objects.map(({ label }) => label) };
  });
}

/** What a training step's process takes at most, in bytes: 9 GB for eight images of 640 x 640 and the article's model. */
export function trainingBytes(images: number, side: number): number {
  return 1e9 + 8.5e9 * (images / 8) * (side / 640) ** 2;
}
