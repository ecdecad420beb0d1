import type { DetectorHandle, NativeAddon, NativeDetectorOptions } from '../binding.ts';
import type { DetectorConfig } from '../model/config.ts';
import { scoresOf } from '../model/scores.ts';

/** The model of a configuration in the addon. `more` says how it computes, and has the program of a TorchScript backbone. */
export async function createHandle(
  addon: NativeAddon,
  { config, classes }: { config: DetectorConfig; classes: readonly string[] },
  more: Partial<NativeDetectorOptions>,
): Promise<DetectorHandle> {
  const { preset: _, postprocess: __, ...model } = config;
  const options = { ...model, scores: scoresOf(config), numClasses: classes.length + 1, ...more };
  return await addon.createDetector(options as NativeDetectorOptions);
}
