import { join, relative, resolve as resolvePath, sep } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { checkKeys, withoutUndefined } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { tableSchema } from '../base/kinds.ts';
import { checkGiven, type Schema } from '../base/option.ts';
import { packageRoot } from '../base/package-files.ts';
import { parseYaml } from '../data/dataset-config.ts';
import type { Detector } from '../detector/detector.ts';
import { internalsOf } from '../detector/detector-internals.ts';
import { createTable, type DetectorOptions } from '../detector/detector-options.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { readBoundedFile } from '../files/bounded-file.ts';
import { presetConfig } from '../model/config.ts';
import { type ResolvedTrainerOptions, type TrainerOptions, trainerTable } from './trainer-options.ts';

/** The file in a run's directory that says with what it was started, so that another run can be started like it. */
export const SETTINGS = 'settings.yaml';

const MAX_BYTES = 64 * 1024;
const schemaFile = join(packageRoot, 'configs', 'settings.schema.json');

const { classes: _classes, loss: _loss, assigner: _assigner, trustTorchScript: _trust, ...detectorTable } = createTable;
const {
  train: _train,
  valid: _valid,
  outDir: _outDir,
  resume: _resume,
  allowChangedData: _allow,
  ...trainingTable
} = trainerTable;

/** The options of `Detector.create` and of a Trainer that a file can hold. */
export interface Settings {
  detector: Partial<DetectorOptions>;
  training: Omit<TrainerOptions, 'train' | 'valid' | 'outDir' | 'resume' | 'allowChangedData'>;
}

/** What a run is started with: every option that has a value, with what presets and defaults said. */
export function settingsOf(
  detector: Detector,
  { train: _, valid: __, outDir: ___, resume: ____, allowChangedData: _____, run, ...own }: ResolvedTrainerOptions,
): Settings {
  const {
    preset,
    imageSize,
    resize,
    backbone,
    head,
    headWidth,
    endToEnd,
    features,
    fusion,
    scores,
    defaultBoxes,
    postprocess,
  } = detector.config;
  const { origin } = internalsOf(detector);
  const chosen = withoutUndefined({ resize, head, headWidth, endToEnd, features, fusion, scores });
  const usual = presetConfig(preset, 'torchscript', imageSize, chosen).defaultBoxes;
  return {
    detector: {
      preset,
      ...(backbone === 'torchscript' ? {} : { backbone }),
      ...origin,
      imageSize,
      ...chosen,
      ...(!isDeepStrictEqual(defaultBoxes, usual) && { defaultBoxes }),
      ...(postprocess.nms && { nms: postprocess.nms }),
      device: detector.device,
      precision: detector.precision,
    },
    training: { ...own, ...run },
  };
}

/** The text of a settings file for `directory`. */
async function settingsText(settings: Settings, directory: string, isComplete: boolean): Promise<string> {
  const { stringify } = await import('yaml');
  const header = [
    `yaml-language-server: $schema=${relative(resolvePath(directory), schemaFile).split(sep).join('/')}`,
    'What this run was started with. Start another one like it, on the same or other data:',
    `  dinov3-det train --config DATA.yaml --settings ${SETTINGS}`,
    'Flags override what stands here.',
    ...(isComplete ? [] : ['The detector was trained before: name the file of its weights with --weights.']),
  ];
  return `${header.map((line) => `# ${line}\n`).join('')}${stringify(settings, { lineWidth: 120 })}`;
}

/** Writes the settings file of a run into its directory. */
export async function writeSettings(detector: Detector, options: ResolvedTrainerOptions): Promise<void> {
  const { pretrained, origin } = internalsOf(detector);
  const isComplete = !pretrained || Object.keys(origin).length > 0;
  const text = await settingsText(settingsOf(detector, options), options.outDir, isComplete);
  await writeFileAtomic(join(options.outDir, SETTINGS), text);
}

/**
 * Reads a settings file, or a part of one.
 * @throws {DetectorError} `CONFIG_INVALID`, naming the file and the option
 */
export async function readSettings(path: string): Promise<Settings> {
  try {
    const bytes = await readBoundedFile(path, MAX_BYTES);
    const content = await parseYaml(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    const { detector, training } = checkKeys('the file', content ?? {}, ['detector', 'training']);
    return {
      detector: checkGiven(detectorTable, 'detector', detector ?? {}),
      training: checkGiven(trainingTable, 'training', training ?? {}) as Settings['training'],
    };
  } catch (error) {
    throw new DetectorError('CONFIG_INVALID', `Settings "${path}": ${messageOf(error)}`, { cause: error });
  }
}

/** The JSON Schema of settings files. */
export function settingsSchema(): Schema {
  return {
    title: 'Settings of a training of dinov3-det',
    type: 'object',
    properties: { detector: tableSchema(detectorTable), training: tableSchema(trainingTable) },
    additionalProperties: false,
  };
}
