import type { Writable } from 'node:stream';

import cliProgress from 'cli-progress';

export type ProgressOptions = {
  /** The value at the end; undefined if it is unknown. */
  total?: number | undefined;
  /** The unit. `bytes` are shown as MB; another word (`step`, `image`) follows the numbers. */
  unit: string;
  label: string;
  /**
   * The output. A terminal gets a bar, any other stream gets plain lines.
   * @default standard error
   */
  stream?: Writable & { isTTY?: boolean };
};

export type Progress = {
  /** Shows `done` of the total, followed by a suffix such as `loss 1.23`. */
  update: (done: number, suffix?: string) => void;
  /** Ends the display. Further updates are ignored. */
  stop: () => void;
};

/** The time between plain lines in milliseconds. A tenth of the total also prints a line. */
const quietTime = 10_000;

/** Creates a progress display for a terminal or a log file. */
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

/** Formats an amount: `54/183 MB`, `3/10 step`, or `54 MB` without a total. */
function amountOf(done: number, total: number | undefined, unit: string): string {
  const show = (value: number) => (unit === 'bytes' ? (value / 1e6).toFixed(0) : String(value));
  return `${show(done)}${total === undefined ? '' : `/${show(total)}`} ${unit === 'bytes' ? 'MB' : unit}`;
}
