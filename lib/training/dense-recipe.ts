import type { AugmentationOptions } from '../data/augment/options.ts';
import type { BackboneName } from '../model/config.ts';

/**
 * How the preset `dense` trains, after MMDetection's RTMDet on a ConvNeXt: from random weights; or with a backbone that has weights of
 * its own, on few images or on many.
 */
export type DenseRecipe = 'random' | 'few' | 'many';

/** From so many images on there are many. */
const MANY_IMAGES = 2000;
/** Optimizer steps from which on a moving average may be as slow as MMDetection's, and of a short run. */
const [LONG_RUN, SHORT_RUN] = [10_000, 3000];

/** Stochastic depth grows with the backbone. */
const dropPaths: Partial<Record<string, number>> = {
  convnext_tiny: 0.1,
  convnext_small: 0.2,
  convnext_base: 0.4,
  convnext_large: 0.5,
} satisfies Partial<Record<BackboneName, number>>;

const scaleJitter = { scaleRange: [0.5, 2] } as const;
const augmentations: Record<DenseRecipe, AugmentationOptions | undefined> = {
  random: undefined,
  few: { scaleJitter },
  many: { mosaic: { p: 0.5 }, scaleJitter, photometricDistort: {}, offForLast: 0.15 },
};

/** What a recipe is chosen by. */
interface Beginning {
  /** The backbone has weights from a file. */
  pretrained: boolean;
  fineTune: boolean;
  /** For training. */
  images: number;
}

export function recipeOf({ pretrained, fineTune, images }: Beginning): DenseRecipe {
  if (!pretrained || !fineTune) return 'random';
  return images < MANY_IMAGES ? 'few' : 'many';
}

export const denseEpochs: Record<DenseRecipe, number> = { random: 20, few: 100, many: 50 };

/** MMDetection's rate is for 128 images a step. */
export function denseLearningRate(recipe: DenseRecipe, imagesOfStep: number): number {
  return recipe === 'random' ? 2e-3 : Math.max(2e-4, (1e-3 * imagesOfStep) / 128);
}

export function denseEma(recipe: DenseRecipe, steps: number): number | undefined {
  if (recipe === 'random') return undefined;
  return steps >= LONG_RUN ? 0.9998 : steps >= SHORT_RUN ? 0.999 : 0.99;
}

export function denseDropPath(recipe: DenseRecipe, backbone: string): number | undefined {
  return recipe === 'random' ? undefined : dropPaths[backbone];
}

export function denseAugmentation(recipe: DenseRecipe): AugmentationOptions | undefined {
  return augmentations[recipe];
}
