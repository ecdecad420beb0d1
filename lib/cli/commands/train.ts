import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { loadDatasetConfig } from '../../data/dataset-config.ts';
import { Detector } from '../../detector/detector.ts';
import { defaultPreset } from '../../model/config.ts';
import { resolveRun } from '../../training/resolve-options.ts';
import { Trainer } from '../../training/trainer.ts';
import type { OptimizerName, TrainerOptions } from '../../training/trainer-options.ts';
import type { StartEvent } from '../../training/training-events.ts';
import { Interrupted, interruptible } from '../interruption.ts';
import { augmentationHelp, readAugmentation } from '../options/augmentation-option.ts';
import { addComputeOptions, type ComputeFlags, computeOptions } from '../options/compute-flags.ts';
import {
  addLossOptions,
  addModelOptions,
  checkSameModel,
  type ModelFlags,
  type ModelOptions,
  modelOptions,
  trustTorchScript,
} from '../options/model-options.ts';
import { addOptimisationOptions, type OptimisationFlags, optimisationOptions } from '../options/optimisation-flags.ts';
import { integer, integers, oneOf, positiveNumber } from '../options/option-values.ts';
import { freshDirectory, resumableRun } from '../options/out-dir.ts';
import { openDataset } from '../output/open-dataset.ts';
import { jsonLog, textLog } from '../output/training-log.ts';
import { writeTransformedImages } from '../output/transformed-images.ts';
import { UsageError } from '../usage-error.ts';

interface Flags extends ModelFlags, ComputeFlags, OptimisationFlags {
  config: string;
  lr?: number;
  fineTune?: boolean;
  epochs?: number;
  schedulerEpochs?: number[];
  workers?: number;
  overlapEvaluation?: boolean;
  batch?: number;
  optimizer?: OptimizerName;
  augmentation?: string;
  outDir?: string;
  resume?: true;
  seed?: number;
  json?: true;
}

const DEFAULT_OUT_DIR = join('runs', 'train');

const examples = `
Examples:
  dinov3-det train --config configs/bccd.yaml --backbone convnext_tiny --imgsz 256 192 --out-dir runs/bccd
  dinov3-det train --config configs/voc.yaml --preset article --weights dinov3_convnext_tiny.safetensors \\
    --model-name dinov3_convnext_tiny --imgsz 640 640 --lr 0.0001 --fine-tune --epochs 20 --scheduler-epochs 15 --workers 8 --batch 8
  dinov3-det train --config configs/bccd.yaml --out-dir runs/bccd --resume
Ctrl-C finishes the step and saves "last"; --resume goes on from there, with the options of the run where none are given.`;

/** `dinov3-det train`: every option of the article's train_detection.py, and a few more. */
export function trainCommand(): Command {
  const command = new Command('train').description('train a detector on a data set in Pascal VOC format');
  return addOptimisationOptions(addComputeOptions(addLossOptions(addModelOptions(command))))
    .requiredOption('--config <yaml>', 'required: the data set file')
    .option('--lr <number>', 'learning rate (default: 0.001; preset article: 0.0001)', positiveNumber)
    .option('--fine-tune', 'train the backbone too, not the head alone (default, but for the preset article)')
    .option('--no-fine-tune', 'train the head alone')
    .option('--epochs <n>', 'how often to go through the training data (default: 20)', integer(1))
    .option(
      '--scheduler-epochs <n...>',
      'epochs after which the learning rate falls to a tenth (default: three quarters of them; preset article: 15)',
      integers(1),
    )
    .option('--workers <n>', 'images decoded at the same time (default: 2)', integer(1))
    .option('--overlap-evaluation', 'evaluate an epoch while the next one is trained (default on a GPU)')
    .option('--no-overlap-evaluation', 'evaluate each epoch before the next one is trained (default on a CPU)')
    .option('--batch <n>', 'images in a step (default: 8)', integer(1))
    .addOption(
      new Option('--optimizer <name>', 'SGD or AdamW (default: AdamW)').argParser((name) =>
        oneOf(['SGD', 'AdamW'])(name).toLowerCase(),
      ),
    )
    .option('--augmentation <name|file>', `${augmentationHelp} (default: none)`)
    .option('--out-dir <dir>', `where results go (default: ${DEFAULT_OUT_DIR}, ${DEFAULT_OUT_DIR}-2 and so on)`)
    .option('--resume', 'go on with the run in --out-dir, or with the newest one')
    .option('--seed <n>', 'of weights, order and flips (default: 42)', integer(0))
    .option('--json', 'print one JSON object a line instead of text')
    .addHelpText('after', examples)
    .action((flags: Flags) => interruptible('Finishing the step and saving', (signal) => train(flags, signal)));
}

async function train(flags: Flags, signal: AbortSignal): Promise<void> {
  const outDir = await chooseOutDir(flags);
  const model = await modelOptions(flags);
  const config = await loadDatasetConfig(flags.config);
  const { classes } = config;
  const options = await runOptions(flags);
  const subject = { preset: model.preset ?? defaultPreset, pretrained: flags.weights !== undefined };
  resolveRun({ ...options, resume: flags.resume ?? false }, subject); // what is wrong is told before an image is read

  const own = { ...pick(config.defaultBoxes, 'defaultBoxes'), ...pick(flags.seed, 'seed') };
  const create = () => Detector.create({ ...model, classes, ...computeOptions(flags), ...own });
  const asTrained = { asTrained: true, ...computeOptions(flags), ...trustTorchScript(flags) };
  const load = () => Detector.load(join(outDir, 'last'), asTrained);
  const detector = await (flags.resume ? load() : create());
  const log = flags.json ? jsonLog() : textLog();
  try {
    if (flags.resume) checkSameModel(model, detector.config);
    const train = await openDataset('training', { ...config.train, classes, signal });
    const valid = await openDataset('validation', { ...config.valid, classes, signal });
    const trainer = new Trainer(detector, { ...options, train, valid, outDir, resume: flags.resume ?? false });
    const onStart = async ({ options }: StartEvent) => {
      const summary = await detector.summary({ fineTune: options.fineTune });
      const origin = describeOrigin(flags, outDir, model.backbone);
      log.start({ outDir, train, valid, summary, origin, weightReport: detector.weightReport });
      if (config.visualizeTransformedImages)
        await writeTransformedImages(outDir, train, detector.config.imageSize, options);
    };
    log.end(await trainer.run({ ...log.hooks, onStart, signal }));
  } catch (error) {
    log.stop();
    if (error instanceof Interrupted && existsSync(join(outDir, 'last'))) {
      throw new Interrupted(`Interrupted: saved ${join(outDir, 'last')}; go on with --resume --out-dir ${outDir}`);
    }
    throw error;
  } finally {
    detector.dispose();
  }
}

function describeOrigin({ resume }: Flags, outDir: string, backbone: ModelOptions['backbone']): string {
  if (resume) return `Going on with ${join(outDir, 'last')}`;
  if (typeof backbone === 'object') return `Backbone: the TorchScript file ${backbone.torchscript}`;
  return 'No pretrained weights path given. Loading with random weights.';
}

async function chooseOutDir({ outDir, resume }: Flags): Promise<string> {
  if (resume) return resumableRun(DEFAULT_OUT_DIR, outDir);
  if (outDir === undefined) return freshDirectory(DEFAULT_OUT_DIR);
  if (existsSync(join(outDir, 'last'))) {
    throw new UsageError(
      `--out-dir: ${outDir} already holds a run. Go on with it by --resume, or name another directory`,
    );
  }
  return outDir;
}

type RunFlags = Omit<TrainerOptions, 'train' | 'valid' | 'outDir' | 'resume'>;

/** The flags that were given, under the names of the library: it has the defaults, or a resumed run its own options. */
async function runOptions(flags: Flags): Promise<RunFlags> {
  return {
    ...pick(flags.lr, 'learningRate'),
    ...pick(flags.fineTune, 'fineTune'),
    ...pick(flags.epochs, 'epochs'),
    ...pick(flags.schedulerEpochs, 'milestones'),
    ...pick(flags.workers, 'workers'),
    ...pick(flags.overlapEvaluation, 'overlapEvaluation'),
    ...pick(flags.batch, 'batchSize'),
    ...pick(flags.optimizer, 'optimizer'),
    ...pick(flags.augmentation === undefined ? undefined : await readAugmentation(flags.augmentation), 'augmentation'),
    ...pick(flags.seed, 'seed'),
    ...optimisationOptions(flags),
  };
}

/** `{ [name]: value }`, or nothing where there is no value. */
function pick<K extends string, T>(value: T | undefined, name: K): { [key in K]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [key in K]: T });
}
