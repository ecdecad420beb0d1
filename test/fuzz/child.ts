import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DetectorError } from '../../lib/base/errors.ts';
import { random } from '../../lib/base/random.ts';
import type { Draw } from './mutate.ts';
import { makeTargets, type Target } from './targets.ts';
import { makeWriters, type Writer } from './writers.ts';

/**
 * Reads mutants, and what our writers wrote, until the time is over: a process of its own, which may crash or hang. Arguments: a
 * folder for files, the seed, the first case, the seconds. A case is all told by the seed and its number. `case.txt` says at any
 * moment which one is under way; at the end `cases.json` has how many files of each kind were read and how many refused.
 */
const [folder = '', seed = '', first = '', seconds = ''] = process.argv.slice(2);

const targets = await makeTargets(folder);
for (const { name, seeds, read } of targets) {
  for (const [index, bytes] of seeds.entries()) {
    await read(bytes).catch((error) => fail(`The sound file ${index} of ${name} was refused`, error));
  }
}

const log = openSync(join(folder, 'case.txt'), 'w');
const kinds = [...targets, ...makeWriters(folder)];
const cases = kinds.map((kind) => ({ name: kind.name, isWriter: 'roundTrip' in kind, read: 0, refused: 0 }));
const end = performance.now() + 1000 * Number(seconds);
for (let number = Number(first); performance.now() < end; number++) {
  const index = number % kinds.length;
  writeSync(log, `${number} (${kinds[index]!.name})`.padEnd(80), 0);
  let drawn = 0;
  const draw = (below: number) => Math.floor(random(Number(seed), number, drawn++, 0) * below);
  cases[index]![await outcome(kinds[index]!, draw)]++;
}
writeFileSync(join(folder, 'cases.json'), JSON.stringify(cases));

async function outcome(kind: Target | Writer, draw: Draw): Promise<'read' | 'refused'> {
  try {
    if ('roundTrip' in kind) await kind.roundTrip(draw);
    else await readMutant(kind, draw);
    return 'read';
  } catch (error) {
    const isRefusal = error instanceof DetectorError && !('roundTrip' in kind);
    if (!isRefusal) fail(`Case ${readFileSync(join(folder, 'case.txt'), 'utf8').trim()}`, error);
    return 'refused';
  }
}

async function readMutant({ seeds, mutate, read }: Target, draw: Draw): Promise<void> {
  const mutant = await mutate(seeds[draw(seeds.length)]!, draw);
  writeFileSync(join(folder, 'mutant'), mutant);
  await read(mutant);
}

function fail(what: string, error: unknown): never {
  console.error(`${what}: ${error instanceof Error ? error.stack : error}`);
  process.exit(1);
}
