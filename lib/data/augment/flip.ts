import { PURPOSE, random } from '../../base/random.ts';

/** Whether a sample is mirrored in an epoch: true with `probability` (0 never, 1 always), the same answer in every run. */
export function decideFlip(seed: number, epoch: number, sampleIndex: number, probability: number): boolean {
  return random(seed, epoch, sampleIndex, PURPOSE.flip) < probability;
}
