import { availableParallelism, cpus, freemem, loadavg } from 'node:os';

import type { MeasuredRow, Unit } from './rows.ts';

/** Processors that Node.js may use, and what it is called. */
export function describeMachine(facts: readonly string[], now: Date): string {
  const model = cpus()[0]?.model.trim() || 'unknown processor';
  const date = now.toISOString().slice(0, 10);
  return [model, `${process.platform} ${process.arch}`, `Node.js ${process.version}`, ...facts, date].join(', ');
}

/** What the benchmarks ran on, as rows of the bench `machine`: they go into the JSON with the rest. */
export function machineRows(description: string, loadBefore: number): MeasuredRow[] {
  const fact = (row: string, unit: Unit, value: number): MeasuredRow => {
    return { bench: 'machine', row, value, unit, reference: null, tuned: null, ratio: null, spread: null };
  };
  return [
    fact(description, 'cores', availableParallelism()),
    fact('load average before', 'processes', loadBefore),
    fact('load average after', 'processes', loadAverage()),
  ];
}

/** Of the last minute, other work of the machine included; 0 on Windows, which has none. */
export function loadAverage(): number {
  return loadavg()[0]!;
}

/** Bytes that processes may take without swapping. */
export function freeBytes(): number {
  return freemem();
}
