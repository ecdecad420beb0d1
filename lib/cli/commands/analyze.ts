import { existsSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { analyzeDataset } from '../../analysis/analyze-dataset.ts';
import type { DatasetAnalysis } from '../../analysis/dataset-analysis.ts';
import { REPORT_PAGE, writeAnalysisReport } from '../../analysis/report/report.ts';
import { analysisTables, describeLayout, type TextTable } from '../../analysis/report/tables.ts';
import type { Size } from '../../boxes/box.ts';
import { loadDatasetConfig, withDefaultBoxes } from '../../data/dataset-config.ts';
import { writeFileAtomic } from '../../files/atomic-file.ts';
import { defaultPreset, type PresetName, presetNames } from '../../model/config.ts';
import { isAnchors } from '../../model/default-box-options.ts';
import { type HeadName, headNames } from '../../model/detection-head.ts';
import { interruptible } from '../interruption.ts';
import { imageSize, presetHelp } from '../options/model-options.ts';
import { integer, integers } from '../options/option-values.ts';
import { sourceOf, splits } from '../options/split.ts';
import { openDataset } from '../output/open-dataset.ts';
import { createProgress } from '../output/progress.ts';
import { alignColumns } from '../output/text.ts';
import { UsageError } from '../usage-error.ts';

interface Flags {
  config: string;
  split: (typeof splits)[number];
  preset: PresetName;
  head: HeadName;
  imgsz?: number[];
  strides?: number[];
  ratios?: number;
  seed: number;
  output?: string;
  json?: string;
  writeConfig?: string;
  force?: true;
}

const examples = `
Examples:
  dinov3-det analyze --config configs/voc.yaml --output runs/analysis
  dinov3-det analyze --config configs/bccd.yaml --imgsz 256 256 --json analysis.json
  dinov3-det analyze --config configs/bccd.yaml --write-config bccd-fitted.yaml
  dinov3-det analyze --config configs/bccd.yaml --strides 8 16 32 64 128
Needs no weights and no LibTorch. --write-config copies the data set file and adds the proposed default boxes as DEFAULT_BOXES, which
train, analyze and the others then take instead of the preset's.`;

/** `dinov3-det analyze`: what is in a data set, what looks wrong, and whether the default boxes fit. */
export function analyzeCommand(): Command {
  return new Command('analyze')
    .description('look at a data set before training: counts, suspicious boxes, and whether the default boxes fit')
    .requiredOption('--config <yaml>', 'required: the data set file')
    .addOption(new Option('--split <name>', 'the part of the data set').choices(splits).default('train'))
    .addOption(new Option('--preset <name>', presetHelp).choices(presetNames).default(defaultPreset))
    .addOption(new Option('--head <name>', 'the detection head').choices(headNames).default('ssd'))
    .option('--imgsz <size...>', 'width and height that images are resized to (default: 640 640)', integers(1))
    .option(
      '--strides <n...>',
      "pixels per cell of the model's feature maps, ascending (default: the preset's)",
      integers(1),
    )
    .option('--ratios <n>', 'aspect ratios of each map in the proposal (default: as many as now)', integer(0))
    .option('--seed <n>', 'of the clustering', integer(0), 0)
    .option('--output <dir>', `write charts as PNG and a page, ${REPORT_PAGE}, into this directory`)
    .option('--json <file>', 'write everything that was found as JSON')
    .option('--write-config <file>', 'write a data set file with the proposed default boxes')
    .option('--force', 'replace the files if they are there')
    .addHelpText('after', examples)
    .action((flags: Flags) => interruptible('Stopping', (signal) => analyze(flags, signal)));
}

async function analyze(flags: Flags, signal: AbortSignal): Promise<void> {
  const { split, preset, head, ratios, seed, output, json, writeConfig } = flags;
  await checkOutputs(flags);
  const config = await loadDatasetConfig(flags.config);
  const source = sourceOf(config, split);
  const size = flags.imgsz === undefined ? { width: 640, height: 640 } : imageSize(flags.imgsz);
  const dataset = await openDataset(split, { ...source, classes: config.classes, verifyImages: false, signal });
  const progress = createProgress({ total: dataset.length, unit: 'image', label: 'Comparing images' });
  const onProgress = (done: number) => progress.update(done);
  const options = {
    preset,
    head,
    imageSize: size,
    seed,
    ...(config.defaultBoxes && { defaultBoxes: config.defaultBoxes }),
    ...(flags.strides && { maps: mapsOf(flags.strides, size) }),
    ...(ratios !== undefined && { ratios }),
  };
  const analysis = await analyzeDataset(dataset, options, { onProgress, signal }).finally(() => progress.stop());

  console.log(formatAnalysis(analysis));
  for (const warning of analysis.warnings) console.error(`Warning: ${warning}`);
  if (json !== undefined) await writeFileAtomic(json, `${JSON.stringify(analysis, null, 2)}\n`);
  if (output !== undefined) {
    const files = await writeAnalysisReport(output, `${flags.config}: ${split}`, analysis);
    console.log(`Report: ${join(output, files.at(-1)!)} and ${files.length - 1} charts`);
  }
  if (writeConfig !== undefined) {
    const { defaultBoxes } = analysis.proposed;
    const comment = `by dinov3-det analyze, ${describeLayout(analysis)}`;
    await writeFileAtomic(writeConfig, await withDefaultBoxes(config, writeConfig, defaultBoxes, comment));
    console.log(`Wrote ${writeConfig}: for a model ${describeLayout(analysis)}`);
  }
}

/** The tables of an analysis, and the proposal. */
export function formatAnalysis(analysis: DatasetAnalysis): string {
  const format = ({ title, heading, rows }: TextTable) => `${title}\n${alignColumns([heading, ...rows])}\n`;
  const { defaultBoxes } = analysis.proposed;
  const [name, sides] = isAnchors(defaultBoxes) ? ['sizes', defaultBoxes.sizes] : ['scales', defaultBoxes.scales];
  return [
    ...analysisTables(analysis).map(format),
    `Proposed ${name}: ${JSON.stringify(sides)}`,
    `Proposed aspect ratios: ${JSON.stringify(defaultBoxes.aspectRatios)}`,
  ].join('\n');
}

function mapsOf(strides: readonly number[], { width, height }: Size): Size[] {
  return strides.map((stride, i) => {
    if (stride <= (strides[i - 1] ?? 0))
      throw new UsageError(`--strides: expected ascending numbers, found ${strides.join(' ')}`);
    return { width: Math.ceil(width / stride), height: Math.ceil(height / stride) };
  });
}

/** Nothing of the user's is replaced unasked, and the data set file never. @throws UsageError */
async function checkOutputs({ config, output, json, writeConfig, force }: Flags): Promise<void> {
  for (const [option, file] of Object.entries({ '--json': json, '--write-config': writeConfig })) {
    if (file === undefined) continue;
    if (resolve(file) === resolve(config)) throw new UsageError(`${option}: ${file} is the data set file itself`);
    const found = await lstat(file).catch(() => undefined);
    if (found?.isDirectory()) throw new UsageError(`${option}: ${file} is a directory. Name a file`);
    if (found && !force) {
      throw new UsageError(`${option}: ${file} is there already. Name another file, or replace it with --force`);
    }
  }
  if (output === undefined || force || existsSync(join(output, REPORT_PAGE))) return;
  const entries = await readdir(output).catch(() => []);
  if (entries.length > 0) {
    throw new UsageError(`--output: ${output} is not empty and holds no ${REPORT_PAGE}. Name a new or empty directory`);
  }
}
