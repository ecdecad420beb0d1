import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';

/** What is not the same for all runs of a comparison, as data, backbone, size of image, seed and epochs are. */
export interface Recipe {
  model: Omit<DetectorOptions, 'classes' | 'backbone' | 'imageSize' | 'seed'>;
  training: Omit<Partial<TrainerOptions>, 'train' | 'valid' | 'outDir' | 'epochs' | 'seed'>;
}

const recipe = (model: Recipe['model'], training: Recipe['training'] = {}): Recipe => ({ model, training });
const best = (training: Recipe['training'], model: Recipe['model'] = {}) =>
  recipe({ preset: 'best', ...model }, training);

const dense = (training: Recipe['training'] = {}, model: Recipe['model'] = {}) =>
  recipe({ preset: 'dense', ...model }, training);

/** With weights at random the article's learning rate, made for pretrained ones, learns next to nothing. */
const fast = { fineTune: true, learningRate: 1e-3 };

/** More than any gradient has: as if none were clipped. */
const UNCLIPPED = 1e9;

/** By name: the presets, the way from `article` to `best`, what could be added to `best`, and the head dense in its kinds. */
export const recipes: Readonly<Record<string, Recipe>> = {
  article: recipe({ preset: 'article' }, { fineTune: true }),
  'article, learning rate 1e-3': recipe({ preset: 'article' }, fast),
  'pyramid, learning rate 1e-3': best({ warmupSteps: 0, clipGradNorm: UNCLIPPED }),
  best: best({}),
  'best without clipping': best({ clipGradNorm: UNCLIPPED }),
  'best without warm-up': best({ warmupSteps: 0 }),
  'best without a schedule': best({ milestones: [] }),
  'best with cosine': best({ schedule: 'cosine' }),
  'best with cosine and EMA': best({ schedule: 'cosine', ema: 0.998 }),
  'best with cosine and focal loss': best({ schedule: 'cosine' }, { loss: { classification: 'focal' } }),
  'best with cosine, learning rate 2e-3': best({ schedule: 'cosine', learningRate: 2e-3 }),
  'best, learning rate 5e-4': best({ learningRate: 5e-4 }),
  'best, learning rate 2e-3': best({ learningRate: 2e-3 }),
  'best and EMA': best({ ema: 0.998 }),
  'best and FPN': best({}, { fusion: 'fpn' }),
  'best and focal loss': best({}, { loss: { classification: 'focal' } }),
  'best and GIoU loss': best({}, { loss: { box: 'giou' } }),
  'best and ATSS': best({}, { assigner: 'atss' }),
  'best and DIoU NMS': best({}, { nms: 'diou' }),
  'best and weighted NMS': best({}, { nms: 'weighted' }),
  'best and weight decay of .05': best({ weightDecay: 0.05, decayWeightsOnly: true }),
  'best and photometric distortion': best({ augmentation: { photometricDistort: {} } }),
  'best and scale jitter': best({ augmentation: { scaleJitter: { p: 0.5, scaleRange: [0.6, 1.6] } } }),
  'best and SSD augmentation': best({ augmentation: 'ssd' }),
  'best and letterbox': best({}, { resize: 'letterbox' }),
  'best and balanced classes': best({ classWeights: 'balanced' }),
  'best and multi-scale': best({ multiscale: [0.5, 1.5] }),
  retinanet: best({}, { head: 'retinanet' }),
  dense: dense(),
  'dense, width 32': dense({}, { headWidth: 32 }),
  'dense, width 24': dense({}, { headWidth: 24 }),
  'dense without object balance': dense({ objectBalance: 0 }),
  'dense with half the object balance': dense({ objectBalance: 0.5 }),
  'dense, learning rate 1e-3': dense({ learningRate: 1e-3 }),
  'dense and EMA': dense({ ema: 0.99 }),
  'dense and letterbox': dense({}, { resize: 'letterbox' }),
  'dense and balanced classes': dense({ classWeights: 'balanced' }),
  'dense and multi-scale': dense({ multiscale: [0.5, 1.5] }),
  'dense and scale jitter': dense({ augmentation: { scaleJitter: { p: 0.5, scaleRange: [0.5, 2] } } }),
  'dense and SSD augmentation': dense({ augmentation: 'ssd' }),
  'dense, end to end': dense({}, { endToEnd: true }),
};
