import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DetectorError } from '../../lib/errors.ts';
import { random } from '../../lib/random.ts';
import { makeTargets, type Target } from './targets.ts';

/**
 * Reads mutants until the time is over: a process of its own, which may crash or hang. Arguments: a folder for files, the seed, the
 * first case, the seconds. A case is all told by the seed and its number. `case.txt` says at any moment which one is under way; at
 * the end `cases.json` has how many mutants of each target were read and how many refused.
 */
const [folder = '', seed = '', first = '', seconds = ''] = process.argv.slice(2);

const targets = await makeTargets(folder);
for (const { name, seeds, read } of targets) {
  for (const [index, bytes] of seeds.entries()) {
    await read(bytes).catch((error) => fail(`The sound file ${index} of ${name} was refused`, error));
  }
}

const log = openSync(join(folder, 'case.txt'), 'w');
const cases = targets.map(({ name }) => ({ name, read: 0, refused: 0 }));
const end = performance.now() + 1000 * Number(seconds);
for (let number = Number(first); performance.now() < end; number++) {
  const index = number % targets.length;
  writeSync(log, `${number} (${targets[index]!.name})`.padEnd(80), 0);
  cases[index]![await outcome(targets[index]!, number)]++;
}
writeFileSync(join(folder, 'cases.json'), JSON.stringify(cases));

async function outcome({ seeds, mutate, read }: Target, number: number): Promise<'read' | 'refused'> {
  let drawn = 0;
  const draw = (below: number) => Math.floor(random(Number(seed), number, drawn++, 0) * below);
  const mutant = await mutate(seeds[draw(seeds.length)]!, draw);
  writeFileSync(join(folder, 'mutant'), mutant);
  try {
    await read(mutant);
    return 'read';
  } catch (error) {
    if (!(error instanceof DetectorError)) fail(`Case ${readFileSync(join(folder, 'case.txt'), 'utf8').trim()}`, error);
    return 'refused';
  }
}

function fail(what: string, error: unknown): never {
  console.error(`${what}: ${error instanceof Error ? error.stack : error}`);
  process.exit(1);
}
