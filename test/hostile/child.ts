import childProcess from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { DetectorError } from '../../lib/base/errors.ts';
import { Detector } from '../../lib/detector/detector.ts';

/**
 * Gives files to a Detector, one after the other: a process of its own, whose memory is that of these files. Arguments: a list of
 * files as JSON, and where to write what became of them. Needs --expose-gc.
 */
export interface Trial {
  path: string;
  /** As what it is given: `Detector.create({ weights })` or `{ backbone: { torchscript } }`. */
  given: 'weights' | 'torchscript';
}

export interface Outcome {
  /** Undefined for a file that was taken. */
  error: { isDetectorError: boolean; code: string | undefined; message: string } | undefined;
  /**
   * The best of up to three times, by the clock or by the processor: on a busy machine the clock counts the time of other programs too,
   * and these files wait for nothing.
   */
  milliseconds: number;
  /** The most that the process had beyond what it had before the first file; undefined where the system does not say. */
  peakBytes: number | undefined;
}

const [planPath = '', outPath = ''] = process.argv.slice(2);
const { soundFiles, trials } = JSON.parse(readFileSync(planPath, 'utf8')) as Record<'soundFiles' | 'trials', Trial[]>;

for (let twice = 0; twice < 2; twice++) {
  for (const file of soundFiles) await load(file);
}
const started = countProcesses();
collectGarbage();
const before = memory('VmRSS');
const outcomes: Outcome[] = [];
for (const trial of trials) outcomes.push(await attempt(trial));
writeFileSync(outPath, JSON.stringify({ outcomes, started }));

async function attempt(trial: Trial): Promise<Outcome> {
  let best: Outcome | undefined;
  for (let tries = 0; tries < 3 && (best?.milliseconds ?? Number.POSITIVE_INFINITY) >= 100; tries++) {
    collectGarbage();
    // "5" sets the peak to the present use (proc(5)).
    if (before !== undefined) writeFileSync('/proc/self/clear_refs', '5');
    const [begin, beginCpu] = [performance.now(), process.cpuUsage()];
    const error = await load(trial);
    const { user, system } = process.cpuUsage(beginCpu);
    const times = [performance.now() - begin, (user + system) / 1000, best?.milliseconds ?? Number.POSITIVE_INFINITY];
    const milliseconds = Math.min(...times);
    const peak = memory('VmHWM');
    const peakBytes = peak === undefined ? undefined : Math.max(peak - before!, best?.peakBytes ?? 0);
    best = { error, milliseconds, peakBytes };
  }
  return best!;
}

async function load({ path, given }: Trial): Promise<Outcome['error']> {
  const file =
    given === 'weights' ? ({ backbone: 'convnext_test', weights: path } as const) : { backbone: { torchscript: path } };
  try {
    const detector = await Detector.create({
      ...file,
      classes: ['__background__', 'a'],
      imageSize: { width: 64, height: 64 },
    });
    detector.dispose();
    return undefined;
  } catch (error) {
    const { message, code } = error as DetectorError;
    return { isDetectorError: error instanceof DetectorError, code, message };
  }
}

function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc!();
}

/** In bytes; Linux alone tells. */
function memory(field: 'VmRSS' | 'VmHWM'): number | undefined {
  if (process.platform !== 'linux') return undefined;
  return 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}

/** The names of the functions that start a process, as they are called from now on. */
function countProcesses(): string[] {
  const calls: string[] = [];
  for (const name of ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync'] as const) {
    childProcess[name] = (() => {
      calls.push(name);
      throw new Error(`${name} was called`);
    }) as never;
  }
  syncBuiltinESMExports();
  return calls;
}
