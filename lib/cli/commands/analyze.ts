import { existsSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { type AnalysisOptions, analysisTable } from '../../analysis/analysis-options.ts';
import { analyzeDataset } from '../../analysis/analyze-dataset.ts';
import type { DatasetAnalysis } from '../../analysis/dataset-analysis.ts';
import { REPORT_PAGE, writeAnalysisReport } from '../../analysis/report/report.ts';
import { analysisTables, describeLayout, type TextTable } from '../../analysis/report/tables.ts';
import { pick } from '../../base/option.ts';
import type { Size } from '../../boxes/box.ts';
import { withDefaultBoxes } from '../../data/dataset-config.ts';
import { writeFileAtomic } from '../../files/atomic-file.ts';
import { checkPreset, defaultPreset, headOfPreset } from '../../model/config.ts';
import { type FittedBoxOptions, isAnchors, isPoints } from '../../model/default-box-options.ts';
import { headOf } from '../../model/detection-head.ts';
import { interruptible } from '../interruption.ts';
import {
  addDataOptions,
  addPartOptions,
  choosePart,
  type DataFlags,
  findData,
  openDataPart,
  type PartFlags,
} from '../options/data-option.ts';
import { imageSize } from '../options/model-options.ts';
import { addOptions, addOwn, givenOptions } from '../options/option-flags.ts';
import { integers } from '../options/option-values.ts';
import { createProgress } from '../output/progress.ts';
import { alignColumns } from '../output/text.ts';
import { UsageError } from '../usage-error.ts';

interface Flags extends DataFlags, PartFlags {
  imageSize?: number[];
  strides?: number[];
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

// biome-ignore lint/suspicious/noExplicitAny: as the parser types it
type Parse = (text: string, previous: any) => any;

/** `dinov3-det analyze`: reports the content of a data set, suspicious boxes, and the fit of the default boxes. */
export function analyzeCommand(): Command {
  const command = new Command('analyze').description(
    'examine a data set before training: counts, suspicious boxes, fit of the default boxes',
  );
  addPartOptions(addDataOptions(command), 'train');
  const own = (group: string, flags: string, help: string, parse?: Parse) =>
    addOwn(command, group, parse ? new Option(flags, help).argParser(parse) : new Option(flags, help));
  addOptions(command, pick(analysisTable, ['preset', 'head', 'imageSize', 'resize']));
  const strides = "pixels per cell of the model's feature maps, ascending (default: the preset's)";
  own('Model', '--strides <n...>', strides, integers(1));
  addOptions(command, pick(analysisTable, ['ratios', 'seed']));
  own('Output', '--output <dir>', `write charts as PNG and a page, ${REPORT_PAGE}, into this directory`);
  own('Output', '--json <file>', 'write the whole result as JSON');
  own('Output', '--write-config <file>', 'write a data set file with the proposed default boxes');
  return own('Output', '--force', 'replace existing files')
    .addHelpText('after', examples)
    .action((flags: Flags) => interruptible('Stopping', (signal) => analyze(flags, signal)));
}

async function analyze(flags: Flags, signal: AbortSignal): Promise<void> {
  const { output, json, writeConfig } = flags;
  await checkOutputs(flags);
  const own = givenOptions(
    pick(analysisTable, ['preset', 'head', 'resize', 'ratios', 'seed']),
    flags,
  ) as AnalysisOptions;
  refuseConfigOfPoints(own, writeConfig);
  const data = await findData(flags, signal, false);
  const { config } = data;
  const part = choosePart(data, flags, 'train');
  if (writeConfig !== undefined && !config)
    throw new UsageError(`--write-config needs a data set file of this project but found ${data.source}`);
  const size = flags.imageSize === undefined ? { width: 640, height: 640 } : imageSize(flags.imageSize);
  const dataset = await openDataPart(data, part, flags);
  const progress = createProgress({ total: dataset.length, unit: 'image', label: 'Comparing images' });
  const options = {
    ...own,
    imageSize: size,
    ...(config?.defaultBoxes && { defaultBoxes: config.defaultBoxes }),
    ...(flags.strides && { maps: mapsOf(flags.strides, size) }),
    onProgress: (done: number) => progress.update(done),
    signal,
  };
  const analysis = await analyzeDataset(dataset, options).finally(() => progress.stop());

  console.log(formatAnalysis(analysis));
  for (const warning of analysis.warnings) console.error(`Warning: ${warning}`);
  if (json !== undefined) await writeFileAtomic(json, `${JSON.stringify(analysis, null, 2)}\n`);
  if (output !== undefined) {
    const files = await writeAnalysisReport(output, `${flags.data ?? flags.config}: ${part ?? 'all'}`, analysis);
    console.log(`Report: ${join(output, files.at(-1)!)} and ${files.length - 1} charts`);
  }
  if (writeConfig !== undefined && config) {
    const { defaultBoxes } = analysis.proposed;
    const comment = `by dinov3-det analyze, ${describeLayout(analysis)}`;
    await writeFileAtomic(writeConfig, await withDefaultBoxes(config, writeConfig, defaultBoxes, comment));
    console.log(`Wrote ${writeConfig}: for a model ${describeLayout(analysis)}`);
  }
}

/** Rejects --write-config for points, which are the same for all data. @throws {UsageError} */
function refuseConfigOfPoints({ preset, head }: AnalysisOptions, writeConfig: string | undefined): void {
  if (writeConfig === undefined) return;
  const name = head ?? headOfPreset(checkPreset('preset', preset ?? defaultPreset));
  if (headOf(name).boxes !== 'points') return;
  throw new UsageError(
    `--write-config: the head ${name} has points, which need no default boxes. Leave --write-config out`,
  );
}

/** The tables of an analysis, and the proposal. */
export function formatAnalysis(analysis: DatasetAnalysis): string {
  const format = ({ title, heading, rows }: TextTable) => `${title}\n${alignColumns([heading, ...rows])}\n`;
  const { defaultBoxes } = analysis.proposed;
  const proposal = isPoints(defaultBoxes)
    ? ['The head dense has points, which need no default boxes. There is nothing to propose.']
    : proposalLines(defaultBoxes);
  return [...analysisTables(analysis).map(format), ...proposal].join('\n');
}

function proposalLines(defaultBoxes: FittedBoxOptions): string[] {
  const [name, sides] = isAnchors(defaultBoxes) ? ['sizes', defaultBoxes.sizes] : ['scales', defaultBoxes.scales];
  return [
    `Proposed ${name}: ${JSON.stringify(sides)}`,
    `Proposed aspect ratios: ${JSON.stringify(defaultBoxes.aspectRatios)}`,
  ];
}

function mapsOf(strides: readonly number[], { width, height }: Size): Size[] {
  return strides.map((stride, i) => {
    if (stride <= (strides[i - 1] ?? 0))
      throw new UsageError(`--strides: expected ascending numbers, found ${strides.join(' ')}`);
    return { width: Math.ceil(width / stride), height: Math.ceil(height / stride) };
  });
}

/** Checks the output files. Existing files need --force, and the data set file is never replaced. @throws {UsageError} */
async function checkOutputs({ data, config = data, output, json, writeConfig, force }: Flags): Promise<void> {
  for (const [option, file] of Object.entries({ '--json': json, '--write-config': writeConfig })) {
    if (file === undefined) continue;
    if (config !== undefined && resolve(file) === resolve(config))
      throw new UsageError(`${option}: ${file} is the data set file itself`);
    const found = await lstat(file).catch(() => undefined);
    if (found?.isDirectory()) throw new UsageError(`${option}: ${file} is a directory. Name a file`);
    if (found && !force) {
      throw new UsageError(`${option}: ${file} already exists. Name another file, or replace it with --force`);
    }
  }
  if (output === undefined || force || existsSync(join(output, REPORT_PAGE))) return;
  const entries = await readdir(output).catch(() => []);
  if (entries.length > 0) {
    throw new UsageError(`--output: ${output} is not empty and holds no ${REPORT_PAGE}. Name a new or empty directory`);
  }
}
