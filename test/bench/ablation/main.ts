import { fork } from 'node:child_process';
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../../../lib/base/errors.ts';
import { writeDrawnScenes } from '../../../lib/cli/demo/drawn-scenes.ts';
import { type BackboneName, backboneNames } from '../../../lib/model/config.ts';
import { recipes } from './recipes.ts';
import { formatResults } from './table.ts';
import type { RunResult, RunTask } from './task.ts';

const usage = `npm run ablation -- [--config FILE | --drawn] [options]
  --config FILE       a data set file with a test split (default: configs/bccd.yaml)
  --drawn             drawn scenes in its place, objects from 2 to 90 % of the image's side
  --recipe NAME       repeatable (default: article, best); --list shows them
  --seed N            repeatable (default: 1 2 3)
  --epochs N          (default: 20)
  --imgsz WxH         (default: 256x192)
  --backbone NAME     (default: convnext_test), from random weights
  --jobs N            trainings at the same time (default: 2), of one thread each
  --out-dir DIR       a folder for each data set, backbone, size and number of epochs, with the runs and results.jsonl; what is in
                      there already is not run again (default: runs/ablation)`;

const DRAWN = { train: 1200, valid: 60, test: 300, seed: 1, width: 320, height: 256, sides: [0.02, 0.9] } as const;

/** What the command line says. */
function readFlags() {
  const { values } = parseArgs({
    options: {
      config: { type: 'string', default: 'configs/bccd.yaml' },
      drawn: { type: 'boolean', default: false },
      recipe: { type: 'string', multiple: true, default: ['article', 'best'] },
      seed: { type: 'string', multiple: true, default: ['1', '2', '3'] },
      epochs: { type: 'string', default: '20' },
      imgsz: { type: 'string', default: '256x192' },
      backbone: { type: 'string', default: 'convnext_test' },
      jobs: { type: 'string', default: '2' },
      'out-dir': { type: 'string', default: 'runs/ablation' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const unknown = values.recipe.find((name) => !Object.hasOwn(recipes, name));
  if (unknown !== undefined) throw new TypeError(`--recipe ${unknown} is none of: ${Object.keys(recipes).join('; ')}`);
  if (!(backboneNames as readonly string[]).includes(values.backbone)) {
    throw new TypeError(`--backbone ${values.backbone} is none of: ${backboneNames.join(', ')}`);
  }
  return values;
}

async function main(): Promise<void> {
  const flags = readFlags();
  if (flags.help || flags.list) {
    console.log(flags.help ? usage : Object.keys(recipes).join('\n'));
    return;
  }
  const data = flags.drawn ? 'drawn' : basename(flags.config, '.yaml');
  // Results of other settings are others: they are not taken for these.
  const folder = resolve(flags['out-dir'], [data, flags.backbone, flags.imgsz, flags.epochs].join('-'));
  await mkdir(folder, { recursive: true });
  const config = flags.drawn ? await writeDrawnScenes(join(folder, 'scenes'), DRAWN) : resolve(flags.config);
  const [width, height] = flags.imgsz.split('x').map(Number);
  const common = {
    ...{ config, folder, threads: 1, epochs: Number(flags.epochs) },
    ...{ backbone: flags.backbone as BackboneName, imageSize: { width: width!, height: height! } },
  };
  const tasks = flags.seed.flatMap((seed) => flags.recipe.map((recipe) => ({ ...common, recipe, seed: Number(seed) })));
  const results = await runAll(tasks, Number(flags.jobs), join(folder, 'results.jsonl'));
  const inOrder = flags.recipe.flatMap((recipe) => results.filter((result) => result.recipe === recipe));
  const table = formatResults(inOrder);
  await writeFile(join(folder, 'table.md'), `${table}\n`);
  console.log(`\n${table}`);
}

/** Runs what the file of results lacks, and adds it there as soon as it is known. */
async function runAll(tasks: readonly RunTask[], jobs: number, path: string): Promise<RunResult[]> {
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n').filter(Boolean);
  const results: RunResult[] = lines.map((line) => JSON.parse(line));
  const waiting = tasks.filter(
    ({ recipe, seed }) => !results.some((one) => one.recipe === recipe && one.seed === seed),
  );
  const worker = async () => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      const result = await runOne(task);
      results.push(result);
      await appendFile(path, `${JSON.stringify(result)}\n`);
      const { recipe, seed, ap, ap50, minutes } = result;
      console.log(`${recipe}, seed ${seed}: AP ${ap.toFixed(4)}, AP@0.5 ${ap50.toFixed(4)}, ${minutes.toFixed(1)} min`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

function runOne(task: RunTask): Promise<RunResult> {
  const script = fileURLToPath(new URL('run.ts', import.meta.url));
  const child = fork(script, [JSON.stringify(task)], {
    env: { ...process.env, OMP_NUM_THREADS: String(task.threads) },
  });
  return new Promise((resolve, reject) => {
    child.on('message', (result) => resolve(result as RunResult));
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`${task.recipe}, seed ${task.seed}: ended with ${code}`)));
  });
}

try {
  await main();
} catch (error) {
  console.error(process.env.DEBUG ? error : `Error: ${messageOf(error)}\n\n${usage}`);
  process.exitCode = 1;
}
