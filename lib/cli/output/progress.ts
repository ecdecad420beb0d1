import type { Writable } from 'node:stream';

import cliProgress from 'cli-progress';

export type ProgressOptions = {
  /** What `update` reaches at the end; undefined when nobody knows. */
  total?: number | undefined;
  /** `bytes` are shown as MB; another word (`step`, `image`) stands behind the numbers. */
  unit: string;
  label: string;
  /** Default: standard error. A bar is drawn on a terminal, plain lines are written elsewhere. */
  stream?: Writable & { isTTY?: boolean };
};

export type Progress = {
  /** Shows that `done` of the total is reached, with some words behind it (`loss 1.23`). */
  update: (done: number, suffix?: string) => void;
  /** Ends the display where it is; further updates are ignored. */
  stop: () => void;
};

/** Plain lines come at every tenth of the total, or after this many milliseconds. */
const quietTime = 10_000;

/** Shows how far something is, on a terminal and in a log file alike. */
export function createProgress(options: ProgressOptions): Progress {
  const stream = options.stream ?? process.stderr;
  return stream.isTTY && options.total !== undefined
    ? drawBar({ ...options, stream, total: options.total })
    : writeLines({ ...options, stream });
}

function drawBar({ total, unit, label, stream }: ProgressOptions & { stream: Writable; total: number }): Progress {
  const bar = new cliProgress.SingleBar({
    stream: stream as NodeJS.WritableStream,
    format: `${label} [{bar}] {percentage}% {amount} {suffix}`,
    barCompleteChar: '=',
    barIncompleteChar: ' ',
    barsize: 30,
    hideCursor: true,
  });
  let isStopped = false;
  bar.start(total, 0, { amount: amountOf(0, total, unit), suffix: '' });
  return {
    update: (done, suffix = '') => {
      if (!isStopped) bar.update(done, { amount: amountOf(done, total, unit), suffix });
    },
    stop: () => {
      if (!isStopped) bar.stop();
      isStopped = true;
    },
  };
}

function writeLines({ total, unit, label, stream }: ProgressOptions & { stream: Writable }): Progress {
  let tenth = 0;
  let writtenAt = Date.now();
  let isStopped = false;
  return {
    update: (done, suffix = '') => {
      const reached = total === undefined || total === 0 ? 0 : Math.floor((10 * done) / total);
      const isDue = reached > tenth || Date.now() - writtenAt >= quietTime;
      if (isStopped || !isDue) return;
      tenth = reached;
      writtenAt = Date.now();
      const percent = total === undefined || total === 0 ? '' : `${Math.floor((100 * done) / total)}% `;
      stream.write(`${label}: ${percent}${amountOf(done, total, unit)}${suffix && ` ${suffix}`}\n`);
    },
    stop: () => {
      isStopped = true;
    },
  };
}

/** `54/183 MB`, `3/10 step`, or `54 MB` without a total. */
function amountOf(done: number, total: number | undefined, unit: string): string {
  const show = (value: number) => (unit === 'bytes' ? (value / 1e6).toFixed(0) : String(value));
  return `${show(done)}${total === undefined ? '' : `/${show(total)}`} ${unit === 'bytes' ? 'MB' : unit}`;
}
