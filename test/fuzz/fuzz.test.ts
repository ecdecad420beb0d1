import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/voc.ts';

/** `npm test` takes the same mutants each time; a longer run takes others, of the seed that a failure prints. */
const { DINOV3_DET_FUZZ_SECONDS, DINOV3_DET_FUZZ_SEED, DINOV3_DET_FUZZ_CASE = '0' } = process.env;
const seconds = Number(DINOV3_DET_FUZZ_SECONDS ?? 5);
const seed = Number(DINOV3_DET_FUZZ_SEED ?? (DINOV3_DET_FUZZ_SECONDS === undefined ? 1 : Date.now()));
const SPARE_SECONDS = 60;

it(
  'damaged files are read or refused with a DetectorError, files of our own read bit for bit: no other exception, no crash, no hang',
  async () => {
    const folder = await temporaryFolder();
    const child = fileURLToPath(new URL('child.ts', import.meta.url));
    const args = [child, folder, seed, DINOV3_DET_FUZZ_CASE, seconds].map(String);
    // Little memory, so that a mutant that asks for much ends the process.
    const limits = ['--max-old-space-size=256', '--import', 'tsx'];
    const run = spawn(process.execPath, [...limits, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 1000 * (seconds + SPARE_SECONDS),
      killSignal: 'SIGKILL',
    });
    let stderr = '';
    run.stderr.on('data', (text) => {
      stderr += text;
    });
    const [code, signal] = await once(run, 'close');

    const ended = () => {
      const last = readFileSync(join(folder, 'case.txt'), { encoding: 'utf8', flag: 'a+' }).trim();
      const again = `DINOV3_DET_FUZZ_SEED=${seed} DINOV3_DET_FUZZ_CASE=${last.split(' ')[0]} npx vitest run test/fuzz`;
      return `ended with ${signal ?? code} in case ${last} of seed ${seed}. Again: ${again}\n${stderr}`;
    };
    expect(code, code === 0 ? '' : ended()).toBe(0);
    const cases = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as {
      isWriter: boolean;
      read: number;
      refused: number;
    }[];
    // Mutants that are never refused, or never made, would show nothing.
    for (const kind of cases) expect(kind.isWriter ? kind.read : kind.refused, JSON.stringify(kind)).toBeGreaterThan(0);
    if (DINOV3_DET_FUZZ_SECONDS !== undefined) console.log(`seed ${seed}: ${JSON.stringify(cases)}`);
  },
  1000 * (seconds + 2 * SPARE_SECONDS),
);
