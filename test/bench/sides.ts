import { fileURLToPath } from 'node:url';

import { type Command, type Step, Worker } from './worker.ts';

/** One process of a comparison. */
export interface Side {
  command: Command;
  task: object;
}

export interface Measurement {
  facts: Readonly<Record<string, unknown>>;
  /** The steps after the warm-up. */
  steps: Step[];
  /** The results of the very first steps, warm-up included: what agrees between two sides. */
  results: unknown[];
  /** Undefined where the system does not tell. */
  peakBytes: number | undefined;
  /** Why the side could not be measured (to the end). */
  error: string | undefined;
}

const ourWorker = fileURLToPath(new URL('ours/worker.ts', import.meta.url));
const theirWorker = fileURLToPath(new URL('reference/worker.py', import.meta.url));

/** Levers that `DINOV3_DET_DISABLE` switches off. */
export type Lever = 'allocator' | 'depthwise' | 'fused-mlp' | 'mlp-rows' | 'packed-weights' | 'pixel-table';

/** Whether levers make a difference there: all of them are the processor's. */
export const hasLevers = (device: string): boolean => device === 'cpu';

/** What a row's name ends with. */
export const onDevice = (device: string): string => (device === 'cpu' ? '' : ` on ${device}`);

/** A process of ours; `disable` switches levers off. */
export function ours(task: object, disable: readonly Lever[] = []): Side {
  const env = disable.length > 0 ? { DINOV3_DET_DISABLE: disable.join(',') } : {};
  return { command: { command: process.execPath, args: ['--import', 'tsx', ourWorker], env }, task };
}

/** glibc keeps what is freed, large blocks too, in place of asking the system for fresh pages each time. */
const RETAINED_MALLOC = { MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: '100000000000', MALLOC_TOP_PAD_: '67108864' };

/** A process of the reference's; undefined without a Python for it. */
export function theirs(python: string | undefined, task: object, { retain = false } = {}): Side | undefined {
  if (python === undefined) return undefined;
  return { command: { command: python, args: [theirWorker], env: retain ? RETAINED_MALLOC : {} }, task };
}

export interface MeasureOptions {
  /** Steps of every process that do not count. */
  warmup: number;
  /** Steps of every process that count. */
  rounds: number;
  /** All processes at a time, step by step in turn; or, where memory does not allow that, one at a time, started anew each round. */
  together: boolean;
}

/** Sides that are undefined, or left out, are not measured. */
export type Sides<Name extends string> = Readonly<Partial<Record<Name, Side | undefined>>>;

/** Runs the sides in turn, so that a change of the machine's speed meets them all alike. */
export async function measure<Name extends string>(
  sides: Sides<Name>,
  { warmup, rounds, together }: MeasureOptions,
): Promise<Partial<Record<Name, Measurement>>> {
  const runs = Object.entries<Side | undefined>(sides).flatMap(([name, side]) => (side ? [new Run(name, side)] : []));
  try {
    for (let round = 0; round < rounds; round++) {
      for (const run of runs) {
        await run.take(warmup);
        if (!together) await run.pause();
      }
    }
  } finally {
    for (const run of runs) await run.pause();
  }
  return Object.fromEntries(runs.map(({ name, measurement }) => [name, measurement])) as Partial<
    Record<Name, Measurement>
  >;
}

class Run {
  readonly name: string;
  readonly measurement: Measurement = { facts: {}, steps: [], results: [], peakBytes: undefined, error: undefined };
  readonly #side: Side;
  #worker: Worker | undefined;
  #isFirst = true;

  constructor(name: string, side: Side) {
    this.name = name;
    this.#side = side;
  }

  /** One step that counts, after the warm-up of a process that is new. */
  async take(warmup: number): Promise<void> {
    const { measurement } = this;
    if (measurement.error !== undefined) return;
    try {
      const isNew = this.#worker === undefined;
      this.#worker ??= await Worker.start(this.#side.command, this.#side.task);
      measurement.facts = this.#worker.facts;
      for (let step = 0; isNew && step < warmup; step++) this.#keep(await this.#worker.step());
      const step = await this.#worker.step();
      this.#keep(step);
      measurement.steps.push(step);
    } catch (error) {
      measurement.error = error instanceof Error ? error.message : String(error);
    }
  }

  #keep({ result }: Step): void {
    if (this.#isFirst) this.measurement.results.push(result);
  }

  /** Ends the process; the next step will be a new one's. */
  async pause(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#worker = undefined;
    this.#isFirst = false;
    const peak = worker.peakBytes();
    if (peak !== undefined) this.measurement.peakBytes = Math.max(peak, this.measurement.peakBytes ?? 0);
    await worker.stop();
  }
}
