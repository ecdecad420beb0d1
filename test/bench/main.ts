import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../../lib/base/errors.ts';
import { native } from '../../lib/binding.ts';
import { data } from './benches/data.ts';
import { map } from './benches/map.ts';
import { memory } from './benches/memory.ts';
import { onnx } from './benches/onnx.ts';
import { postprocess } from './benches/postprocess.ts';
import { predict } from './benches/predict.ts';
import { startup } from './benches/startup.ts';
import { train, trainingMemory } from './benches/train.ts';
import type { Bench, Context } from './context.ts';
import { describeMachine, loadAverage, machineRows } from './machine.ts';
import { parseRows, replaceBenchmarks } from './performance-page.ts';
import { digits, formatTable, type MeasuredRow, toJson } from './rows.ts';
import { measure, theirs } from './sides.ts';

const benches: Record<string, Bench> = { train, predict, onnx, data, postprocess, map, startup, memory };

const usage = `npm run bench -- [${Object.keys(benches).join('|')} ...] [--json FILE] [--quick] [--rounds N]
npm run bench -- --device cuda      train and predict on a GPU, both sides (or those of the two that are named)
npm run bench -- --create-venv      a Python with the reference, into .venv-reference (about 1 GB)
npm run bench -- --docs FILE        writes the tables of a --json FILE into docs/performance.md`;

const pagePath = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));

/** \`npm run bench\`: the Python of the reference, if there is one, is named by DINOV3_DET_TORCH_PYTHON. */
async function main(): Promise<number> {
  const { values: flags, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      device: { type: 'string', default: 'cpu' },
      docs: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (flags.help) {
    console.log(usage);
    return 0;
  }
  if (flags.docs !== undefined) {
    const rows = parseRows(await readFile(flags.docs, 'utf8'));
    await writeFile(pagePath, replaceBenchmarks(await readFile(pagePath, 'utf8'), rows));
    return 0;
  }
  const unknown = positionals.find((name) => !Object.hasOwn(benches, name));
  const rounds = flags.rounds === undefined ? undefined : Number(flags.rounds);
  if (unknown !== undefined || (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))) {
    throw new TypeError(`${unknown === undefined ? `--rounds ${flags.rounds}` : unknown} is not known\n${usage}`);
  }
  const able = flags.device === 'cpu' ? Object.keys(benches) : ['train', 'predict'];
  const other = positionals.find((name) => !able.includes(name));
  if (other !== undefined)
    throw new TypeError(`${other} does not run on ${flags.device}; leave out --device\n${usage}`);
  const names = positionals.length > 0 ? positionals : able;
  return await runBenches(names, { quick: flags.quick, rounds, device: flags.device }, flags.json);
}

/** 1 when a check has failed or a bench could not be run. */
async function runBenches(
  names: readonly string[],
  options: Pick<Context, 'quick' | 'rounds' | 'device'>,
  json: string | undefined,
): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'dinov3-det-bench-'));
  const failures: string[] = [];
  const context: Context = {
    ...options,
    python: process.env.DINOV3_DET_TORCH_PYTHON || undefined,
    folder,
    say: (text) => console.error(text),
    check: (what, ok, detail) => {
      console.error(`  ${ok ? 'the same' : 'NOT THE SAME'}: ${what}: ${detail}`);
      if (!ok) failures.push(what);
    },
  };
  try {
    const loadBefore = loadAverage();
    const description = describeMachine(await describeSoftware(context), new Date());
    context.say(description);
    const rows: MeasuredRow[] = [];
    for (const name of names) {
      const selected = name === 'memory' && !names.includes('train') ? [trainingMemory, memory] : [benches[name]!];
      for (const bench of selected) {
        try {
          rows.push(...(await bench(context)));
        } catch (error) {
          failures.push(name);
          console.error(`  ${name} was not measured: ${messageOf(error)}`);
        }
      }
    }
    const machine = machineRows(description, loadBefore);
    const all = [...machine, ...rows];
    for (const { row, value, unit } of machine) console.log(`${row}: ${digits(value)} ${unit}`);
    console.log(`\n${formatTable(rows)}`);
    if (json !== undefined) await writeFile(json, toJson(all));
    if (failures.length > 0) console.error(`Failed: ${failures.join('; ')}`);
    return failures.length > 0 ? 1 : 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What both sides compute with; says what is missing for the reference. */
async function describeSoftware({ python, device, say }: Context): Promise<string[]> {
  const { libtorchVersion } = await native();
  const threads = process.env.OMP_NUM_THREADS ? [`OMP_NUM_THREADS=${process.env.OMP_NUM_THREADS}`] : [];
  const mine = [`LibTorch ${libtorchVersion}`, ...threads, ...(device === 'cpu' ? [] : [device])];
  if (python === undefined) {
    say('No Python with torch and torchvision: ours runs alone. To compare: npm run bench -- --create-venv');
    return mine;
  }
  const probe = { task: 'nms', boxes: [], scores: [], labels: [] };
  const { probed } = await measure({ probed: theirs(python, probe) }, { warmup: 0, rounds: 1, together: true });
  if (probed?.error !== undefined) throw new Error(`${python} cannot run the reference: ${probed.error}`);
  const gpu = device === 'cpu' || !probed?.facts.gpu ? [] : [String(probed.facts.gpu)];
  return [...mine, ...gpu, `torch ${probed?.facts.torch}`, String(probed?.facts.nms)];
}

process.exitCode = await main().catch((error) => {
  console.error(process.env.DEBUG ? error : `Error: ${messageOf(error)}`);
  return 1;
});
