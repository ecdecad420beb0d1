import { checkInteger, checkKeys, withoutUndefined, wrongArgument } from '../base/check.ts';
import { callback, integer, kind } from '../base/kinds.ts';
import { type Given, option, pick, resolve } from '../base/option.ts';
import { type CallOptions, takeSignal } from '../base/signal.ts';
import type { Size } from '../boxes/box.ts';
import { createTable, type DetectorOptions } from '../detector/detector-options.ts';
import { defaultPreset, presetConfig, presetMaps } from '../model/config.ts';
import { countMaps } from '../model/default-box-options.ts';

const proposal = 'Proposal';

const ownTable = {
  /**
   * The sizes of the model's feature maps in cells, finest first. There are at most as many as entries of `defaultBoxes`.
   * @default the maps of the preset
   */
  maps: option(kind<readonly Size[], Size[]>(checkMaps, 'array of sizes'), {
    unset: 'the maps of the preset',
    group: 'Model',
    flag: false,
    help: "sizes of the model's feature maps in cells",
  }),
  /**
   * The largest number of aspect ratios per map in the proposal.
   * @default as many as the map has now
   */
  ratios: option(integer({ max: 16 }), {
    unset: 'as many as now',
    group: proposal,
    help: 'aspect ratios of each map in the proposal',
  }),
  /**
   * The seed of the clustering.
   * @default 0
   */
  seed: option(integer(), { default: 0, group: proposal, help: 'seed of the clustering' }),
};

const hookTable = {
  /** Called after each image that was compared with the others by its file. This comparison takes the longest. */
  onProgress: option(callback<(done: number, total: number) => void>(), {
    flag: false,
    help: 'called after each image',
  }),
};

const modelKeys = ['preset', 'head', 'imageSize', 'resize', 'defaultBoxes'] as const;

/** The table of every option of `analyzeDataset`. */
export const analysisTable = { ...pick(createTable, modelKeys), ...ownTable, ...hookTable };

/** Options for progress and cancelling of `analyzeDataset`. */
export interface AnalysisHooks extends Given<typeof hookTable>, CallOptions {}

/** The options of `analyzeDataset`: the model that you want to train. Your own model needs `defaultBoxes` and `maps`. */
export interface AnalysisOptions
  extends Pick<DetectorOptions, (typeof modelKeys)[number]>,
    Given<typeof ownTable>,
    AnalysisHooks {}

export type ResolvedAnalysis = ReturnType<typeof resolveAnalysis>;

/**
 * Checks the options and fills in defaults. `hooks` is an earlier place for two of the options.
 * @throws {TypeError|RangeError} naming the option
 */
export function resolveAnalysis(options: AnalysisOptions, hooks: AnalysisHooks) {
  const given = { ...options, ...withoutUndefined(checkKeys('hooks', hooks, ['onProgress', 'signal'])) };
  const { signal, given: own } = takeSignal(given);
  const { preset, imageSize: size, maps, ratios, seed, onProgress, ...model } = resolve(analysisTable, own);
  const config = presetConfig(preset ?? defaultPreset, 'convnext_tiny', size ?? { width: 640, height: 640 }, model);
  const { imageSize, resize, defaultBoxes } = config;
  const layout = { imageSize, ...(resize && { resize }), maps: maps ?? presetMaps(config) };
  checkInteger('maps.length', layout.maps.length, 1, countMaps(defaultBoxes));
  return { layout, defaultBoxes, proposal: { ratios, seed }, onProgress, signal };
}

function checkMaps(name: string, value: unknown): Size[] {
  if (!Array.isArray(value)) throw new TypeError(wrongArgument(name, 'array', value));
  return value.map((map, k) => {
    const { width, height } = checkKeys(`${name}[${k}]`, map, ['width', 'height']);
    return {
      width: checkInteger(`${name}[${k}].width`, width, 1, 1024),
      height: checkInteger(`${name}[${k}].height`, height, 1, 1024),
    };
  });
}
