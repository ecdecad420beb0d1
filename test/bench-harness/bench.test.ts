import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { native } from '../../lib/binding.ts';
import { parseRows } from '../bench/performance-page.ts';
import { measure, ours, type Side } from '../bench/sides.ts';
import { node } from '../support/cli.ts';
import { temporaryFolder } from '../support/voc.ts';

const main = 'test/bench/main.ts';
const cudaDeviceCount = (await native()).cudaDeviceCount();

/** A worker in few words: counts its steps. */
function counting(script = 'result: ++n'): Side {
  const program = `let n = 0;
    const answer = (value) => console.log(JSON.stringify(value));
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) =>
      answer('task' in JSON.parse(line) ? { ready: { pid: process.pid } } : { ms: 1, cpuMs: 1, ${script} }));`;
  return { command: { command: process.execPath, args: ['-e', program], env: {} }, task: { task: 'count' } };
}

test('sides take turns, after a warm-up that does not count', async () => {
  const { a, b, none } = await measure(
    { a: counting(), b: counting(), none: undefined },
    { warmup: 2, rounds: 3, together: true },
  );
  expect(a!.steps.map(({ result }) => result)).toEqual([3, 4, 5]);
  expect(b!.results).toEqual([1, 2, 3, 4, 5]);
  expect(a!.facts.pid).not.toBe(b!.facts.pid);
  expect(none).toBeUndefined();
});

test('one process at a time is a new one each round, and what it says first is kept once', async () => {
  const { a } = await measure({ a: counting() }, { warmup: 1, rounds: 2, together: false });
  expect(a!.steps.map(({ result }) => result)).toEqual([2, 2]);
  expect(a!.results).toEqual([1, 2]);
});

test.skipIf(process.platform !== 'linux')('peak memory of a process (Linux alone tells)', async () => {
  const { a } = await measure(
    { a: counting('result: Buffer.alloc(2e8, 1).length') },
    { warmup: 0, rounds: 1, together: true },
  );
  expect(a!.peakBytes).toBeGreaterThan(2e8);
  expect(a!.peakBytes).toBeLessThan(1e9);
});

test.each([
  ['an error', counting('...(n++ < 1 ? { result: n } : { error: "no more" })'), 'no more'],
  ['the end of the process', counting('result: n++ < 1 ? n : process.exit(3)'), 'has ended'],
  ['a program that is not there', { command: { command: './nowhere', args: [], env: {} }, task: {} }, 'ENOENT'],
  [
    'a task that cannot be set up',
    ours({ task: 'onnx', path: 'nowhere.onnx', side: 64, images: 1 }),
    'nowhere|onnxruntime-node',
  ],
])('%s ends one side and leaves the other', async (_, failing, message) => {
  const { a, b } = await measure({ a: failing, b: counting() }, { warmup: 0, rounds: 3, together: true });
  expect(a!.error).toMatch(new RegExp(message));
  expect(b!.steps).toHaveLength(3);
});

test('without Python ours runs alone and says so; the JSON has every row', async () => {
  const json = join(await temporaryFolder(), 'rows.json');
  const { code, out, error } = await node([main, 'postprocess', 'map', '--quick', '--rounds', '1', '--json', json], {
    env: { DINOV3_DET_TORCH_PYTHON: '' },
  });
  expect(error).toContain('ours runs alone');
  expect(code).toBe(0);
  const rows = parseRows(await readFile(json, 'utf8'));
  expect(rows.map(({ bench }) => bench)).toEqual([
    ...Array(3).fill('machine'),
    ...Array(4).fill('postprocess'),
    ...Array(2).fill('map'),
  ]);
  for (const { bench, row, value, reference } of rows) {
    if (bench !== 'machine') expect(value, row).toBeGreaterThan(0);
    expect(reference).toBeNull();
    expect(out).toContain(row);
  }
});

test.each([['nothing-such'], ['--rounds', '0'], ['--nothing'], ['map', '--device', 'cuda']])(
  'refuses %s',
  async (...args) => {
    const { code, error } = await node([main, ...args]);
    expect(code).toBe(1);
    expect(error).toMatch(/is not known|Unknown option|does not run on cuda/);
  },
);

test.skipIf(cudaDeviceCount > 0)(
  'on a GPU that is not there nothing is measured (skipped where there is one)',
  async () => {
    const args = [main, 'predict', '--quick', '--rounds', '1', '--device', 'cuda'];
    const { code, out, error } = await node(args, { env: { DINOV3_DET_TORCH_PYTHON: '' } });
    expect(code).toBe(0);
    expect(error).toMatch(/bf16: not measured: .*Device "cuda" is not available/);
    expect(error).not.toContain('without allocator');
    expect(out).toContain('b1 float32 on cuda');
  },
);
