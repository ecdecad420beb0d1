// `npm run campaign -- [--minutes N] [--seed N] [--json FILE] [names]`: tries what can go wrong, again and again, and says how often it did.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Outcome, type Row, Trial } from './row.ts';
import { argumentRows } from './rows/arguments.ts';
import { checkpointRows } from './rows/checkpoints.ts';
import { trainingRows } from './rows/training.ts';

const rows: Row[] = [...checkpointRows, ...trainingRows, ...argumentRows];

/** Of the time of a row; a control needs one failure. */
const CONTROL_SHARE = 0.15;

interface Result extends Pick<Row, 'name' | 'what'>, Outcome {
  controlTries: number;
  controlFailures: number;
  seconds: number;
}

const { values, positionals } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
  allowPositionals: true,
});
const unknown = positionals.find((name) => !rows.some((row) => row.name === name));
if (unknown) throw new Error(`No row ${unknown}; there are ${rows.map(({ name }) => name).join(', ')}`);
const chosen = positionals.length > 0 ? rows.filter(({ name }) => positionals.includes(name)) : rows;
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
if (!(minutes > 0) || !Number.isSafeInteger(seed)) throw new Error('Expected --minutes > 0 and an integer --seed');

const results: Result[] = [];
for (const row of chosen) results.push(await measure(row, (60 * minutes) / chosen.length));
console.log(table(results));
if (values.json) await writeFile(values.json, `${JSON.stringify({ seed, minutes, results }, null, 2)}\n`);
const failed = results.filter(({ failures, controlFailures }) => failures.length > 0 || controlFailures === 0);
for (const { name, failures } of failed)
  console.error(`${name}: ${failures[0] ?? 'the control did not fail: the row sees nothing'}`);
process.exitCode = failed.length > 0 ? 1 : 0;

async function measure({ name, what, run, control }: Row, seconds: number): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), `campaign-${name}-`));
  const began = performance.now();
  try {
    const [first, second] = ['control', 'row'].map((part) => join(folder, part)) as [string, string];
    for (const part of [first, second]) await mkdir(part);
    const wrong = await control(new Trial(first, seed, CONTROL_SHARE * seconds));
    const outcome = await run(new Trial(second, seed, (1 - CONTROL_SHARE) * seconds));
    const counts = { controlTries: wrong.tries, controlFailures: wrong.failures.length };
    return { name, what, ...outcome, ...counts, seconds: (performance.now() - began) / 1000 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function table(results: readonly Result[]): string {
  const lines = results.map(({ name, what, tries, failures, controlTries, controlFailures, seconds }) =>
    ['', name, what, tries, failures.length, `${controlFailures} of ${controlTries}`, Math.round(seconds), '']
      .join(' | ')
      .trim(),
  );
  const head = '| row | a try | tries | failures | control: failures | seconds |\n|---|---|---|---|---|---|';
  const date = new Date().toISOString().slice(0, 10);
  return `${head}\n${lines.join('\n')}\n\nSeed ${seed}, ${date}, Node.js ${process.version}, ${cpus()[0]?.model}, ${cpus().length} cores.`;
}
