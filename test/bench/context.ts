import type { MeasuredRow } from './rows.ts';
import type { Measurement } from './sides.ts';

/** What a bench is given. */
export interface Context {
  /** What `train` and `predict` compute on, both sides: `cpu`, `cuda` or `cuda:N`. */
  device: string;
  /** Smaller images and fewer steps: minutes in place of an hour. */
  quick: boolean;
  /** The Python of the reference; undefined: ours runs alone. */
  python: string | undefined;
  /** Steps of each process that count; undefined: what the bench finds right. */
  rounds: number | undefined;
  /** A folder for the bench's files, removed in the end. */
  folder: string;
  /** Tells what is being done. */
  say: (text: string) => void;
  /** Notes a result of the comparison: whether both sides compute the same. */
  check: (what: string, ok: boolean, detail: string) => void;
}

export type Bench = (context: Context) => Promise<MeasuredRow[]>;

export function milliseconds(measurement: Measurement | undefined): number[] {
  return measurement?.steps.map(({ ms }) => ms) ?? [];
}

/** Says why a side gave no result; what it did give is kept. */
export function sayFailures({ say }: Context, measurements: Readonly<Record<string, Measurement | undefined>>): void {
  for (const [name, measurement] of Object.entries(measurements)) {
    if (measurement?.error !== undefined) say(`  ${name}: not measured: ${measurement.error}`);
  }
}
