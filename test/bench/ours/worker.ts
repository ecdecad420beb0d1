import { createInterface } from 'node:readline';

import { messageOf } from '../../../lib/base/errors.ts';

/** Our side of a benchmark, as `Worker` describes it: `node --import tsx test/bench/ours/worker.ts`. */

export interface Task {
  /** `ms` is given where the task times itself more closely. */
  step: () => Promise<{ ms?: number; result?: unknown }>;
  facts: Record<string, unknown>;
}

const modules = {
  train: './model-tasks.ts',
  predict: './model-tasks.ts',
  onnx: './model-tasks.ts',
  data: './part-tasks.ts',
  loading: './part-tasks.ts',
  dataset: './part-tasks.ts',
  annotations: './part-tasks.ts',
  postprocess: './part-tasks.ts',
  nms: './part-tasks.ts',
  map: './part-tasks.ts',
} as const;

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function main(): Promise<void> {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const { task, ...options } = JSON.parse((await lines.next()).value ?? '{}');
  const tasks = await import(modules[task as keyof typeof modules]);
  const { step, facts } = (await tasks[task](options)) as Task;
  answer({ ready: facts });
  while (!(await lines.next()).done) {
    const [began, cpuBegan] = [performance.now(), process.cpuUsage()];
    const { ms, result } = await step();
    const cpu = process.cpuUsage(cpuBegan);
    const elapsed = performance.now() - began;
    answer({ ms: ms ?? elapsed, cpuMs: (cpu.user + cpu.system) / 1000, result });
  }
}

await main().catch((error) => answer({ error: messageOf(error) }));
