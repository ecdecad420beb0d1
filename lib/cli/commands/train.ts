import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { writeSplitLists } from '../../data/split-lists.ts';
import { computeTable } from '../../detector/compute-options.ts';
import { Detector } from '../../detector/detector.ts';
import { createTable, loadTable } from '../../detector/detector-options.ts';
import { LAST } from '../../detector/history.ts';
import { defaultPreset, presetConfig } from '../../model/config.ts';
import { type RunSubject, resolveRun } from '../../training/resolve-options.ts';
import { readSettings, SETTINGS, type Settings } from '../../training/settings.ts';
import { Trainer } from '../../training/trainer.ts';
import { trainerTable } from '../../training/trainer-options.ts';
import type { StartEvent } from '../../training/training-events.ts';
import { Interrupted, interruptedBy, interruptible } from '../interruption.ts';
import { readAugmentation } from '../options/augmentation-option.ts';
import { addDataOptions, type DataFlags, findData, openTrainingData, splitOption } from '../options/data-option.ts';
import {
  addModelOptions,
  checkSameModel,
  type ModelFlags,
  type ModelOptions,
  modelOptions,
} from '../options/model-options.ts';
import { addOptions, addOwn, givenOptions } from '../options/option-flags.ts';
import { integer } from '../options/option-values.ts';
import { freshDirectory, isSavedRun, resumableRun } from '../options/out-dir.ts';
import { jsonLog, textLog } from '../output/training-log.ts';
import { writeTransformedImages } from '../output/transformed-images.ts';
import { UsageError } from '../usage-error.ts';

interface Flags extends ModelFlags, DataFlags {
  split?: number[] | string;
  splitSeed?: number;
  augmentation?: string | null;
  outDir?: string;
  resume?: true;
  saveSignal?: NodeJS.Signals;
  settings?: string;
  seed?: number;
  json?: true;
}

const { outDir: _, ...trainingTable } = trainerTable;
const DEFAULT_OUT_DIR = join('runs', 'train');
/** Those that have no other meaning here. */
const SAVE_SIGNALS = ['SIGUSR2', 'SIGALRM', 'SIGCONT', 'SIGWINCH'];

const examples = `
Examples:
  dinov3-det train --config configs/bccd.yaml --backbone convnext_tiny --imgsz 256 192 --out-dir runs/bccd
  dinov3-det train --config configs/voc.yaml --preset article --weights dinov3_convnext_tiny.safetensors \\
    --model-name dinov3_convnext_tiny --imgsz 640 640 --lr 0.0001 --fine-tune --epochs 20 --scheduler-epochs 15 --workers 8 --batch 8
  dinov3-det train --data fruit/data.yaml --epochs 50
  dinov3-det train --data labels/ --split 0.8/0.1/0.1
  dinov3-det train --config configs/bccd.yaml --out-dir runs/bccd --resume
Ctrl-C, SIGTERM and SIGHUP finish the step and save "last"; --resume goes on from there, with the options of the run where none are
given. --save-signal SIGUSR2 lets a scheduler save without ending: kill -USR2 PID. SIGUSR1 is not for this: it opens Node's debugger.`;

/** `dinov3-det train`: every option of the article's train_detection.py, and a few more. */
export function trainCommand(): Command {
  const command = new Command('train').description('train a detector on a data set');
  addDataOptions(command);
  const split = 'divide a data set without validation data, as in 0.8/0.1/0.1, or as the lists in a directory say';
  addOwn(command, 'Data', new Option('--split <fractions|dir>', split).argParser(splitOption));
  const seed = 'another number divides it in another way (default: 0)';
  addOwn(command, 'Data', new Option('--split-seed <n>', seed).argParser(integer(0)));
  const own = (flags: string, help: string) => addOwn(command, 'Run', new Option(flags, help));
  own('--out-dir <dir>', `where results go (default: ${DEFAULT_OUT_DIR}, ${DEFAULT_OUT_DIR}-2 and so on)`);
  own('--resume', 'go on with the run in --out-dir, or with the newest one');
  const settings = new Option(
    '--settings <file>',
    `options in YAML, as each run writes its own into ${SETTINGS}; flags override them`,
  );
  addOwn(command, 'Run', settings.conflicts('resume'));
  own('--json', 'print one JSON object a line instead of text');
  const saveSignal = new Option('--save-signal <name>', 'a signal that saves "last" and goes on, such as SIGUSR2');
  addOwn(command, 'Run', saveSignal.argParser(signalName));
  addOptions(addModelOptions(command), trainingTable);
  return addOptions(command, computeTable)
    .addHelpText('after', examples)
    .action((flags: Flags) => interruptible('Finishing the step and saving', (signal) => train(flags, signal)));
}

async function train(flags: Flags, signal: AbortSignal): Promise<void> {
  const outDir = await chooseOutDir(flags);
  const resume = (flags.resume ?? false) && isSavedRun(outDir);
  if (flags.resume && !resume)
    console.error(`Warning: the run in ${outDir} was ended before its first save. It begins anew`);
  const settings = flags.settings === undefined ? { detector: {}, training: {} } : await readSettings(flags.settings);
  const model = { ...settings.detector, ...(await modelOptions(flags)) };
  const data = await findData(flags, signal);
  const { config } = data;
  const classes = await data.classes();
  const given = await runOptions(flags);
  const options = { ...settings.training, ...given, ...mergedLoss(settings.training.loss, given.loss) };
  resolveRun({ ...options, resume }, subjectOf(model)); // what is wrong is told before an image is read

  const boxes = config?.defaultBoxes && { defaultBoxes: config.defaultBoxes };
  const compute = givenOptions({ ...computeTable, seed: createTable.seed }, flags);
  const create = () => Detector.create({ ...model, ...compute, ...boxes, classes });
  const onWarning = () => {}; // the trainer tells which checkpoint it goes on from
  const load = () =>
    Detector.load(join(outDir, LAST), { asTrained: true, ...givenOptions(loadTable, flags), onWarning });
  const detector = await (resume ? load() : create());
  const log = flags.json ? jsonLog() : textLog();
  try {
    signal.throwIfAborted();
    if (resume) checkSameModel(model, detector.config);
    const parts = await openTrainingData(data, flags, signal);
    const { train, valid } = parts;
    const trainer = new Trainer(detector, { ...options, train, valid, outDir, resume });
    if (flags.saveSignal) process.on(flags.saveSignal, () => trainer.requestSave());
    const onStart = async ({ options }: StartEvent) => {
      const summary = await detector.summary({ fineTune: options.fineTune });
      const origin = describeOrigin(resume, outDir, model.backbone);
      log.start({ outDir, train, valid, summary, origin, weightReport: detector.weightReport });
      if (flags.split !== undefined) await writeSplitLists(join(outDir, 'split'), parts);
      if (config?.visualizeTransformedImages) await writeTransformedImages(outDir, train, detector.config, options);
    };
    log.end(await trainer.run({ ...log.hooks, onStart, signal }));
  } catch (error) {
    log.stop();
    if (error instanceof Interrupted && existsSync(join(outDir, LAST))) {
      throw interruptedBy(signal, `Interrupted: saved ${join(outDir, LAST)}; go on with --resume --out-dir ${outDir}`);
    }
    throw error;
  } finally {
    detector.dispose();
  }
}

/** @throws InvalidArgumentError for a signal that means something else to this program, or that no program hears */
function signalName(text: string): string {
  const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`;
  if (name === 'SIGUSR1')
    throw new InvalidArgumentError("SIGUSR1 opens Node's debugger. Name another, such as SIGUSR2.");
  if (SAVE_SIGNALS.includes(name)) return name;
  throw new InvalidArgumentError(`Expected one of ${SAVE_SIGNALS.join(', ')}.`);
}

/** A flag for one of the losses leaves the other as the settings have it. */
function mergedLoss(...losses: Settings['training']['loss'][]): Pick<Settings['training'], 'loss'> {
  const loss = Object.assign({}, ...losses);
  return Object.keys(loss).length === 0 ? {} : { loss };
}

/** What is known of the model before it is there. @throws {TypeError|RangeError} for a model that cannot be */
function subjectOf({ preset, head, scores, weights }: ModelOptions): RunSubject {
  const choices = { ...(head && { head }), ...(scores && { scores }) };
  const model = presetConfig(preset ?? defaultPreset, 'torchscript', { width: 640, height: 640 }, choices);
  return { preset: model.preset, pretrained: weights !== undefined && weights !== null, model };
}

function describeOrigin(resume: boolean, outDir: string, backbone: ModelOptions['backbone']): string {
  if (resume) return `Going on with ${join(outDir, LAST)}`;
  if (backbone !== null && typeof backbone === 'object')
    return `Backbone: the TorchScript file ${backbone.torchscript}`;
  return 'No pretrained weights path given. Loading with random weights.';
}

async function chooseOutDir({ outDir, resume }: Flags): Promise<string> {
  if (resume) return resumableRun(DEFAULT_OUT_DIR, outDir);
  if (outDir === undefined) return freshDirectory(DEFAULT_OUT_DIR);
  if (isSavedRun(outDir)) {
    throw new UsageError(
      `--out-dir: ${outDir} already holds a run. Go on with it by --resume, or name another directory`,
    );
  }
  return outDir;
}

/** The flags that were given, under the names of the library: it has the defaults, or a resumed run its own options. */
async function runOptions(flags: Flags): Promise<Settings['training']> {
  const { augmentation, ...given } = givenOptions(trainingTable, flags);
  if (augmentation === undefined) return given;
  return { ...given, augmentation: augmentation === null ? null : await readAugmentation(augmentation as string) };
}
