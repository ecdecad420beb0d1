import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { createProgress } from '../../../../lib/cli/output/progress.ts';

let stream: PassThrough & { isTTY?: boolean };
const written = () => String(stream.read() ?? '');
beforeEach(() => {
  stream = new PassThrough();
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

test('elsewhere than on a terminal: a line at every tenth', () => {
  const progress = createProgress({ total: 200e6, unit: 'bytes', label: 'Unpacking', stream });
  for (let done = 0; done <= 200e6; done += 1e6) progress.update(done);
  const lines = written().trim().split('\n');
  expect(lines).toHaveLength(10);
  expect(lines[0]).toBe('Unpacking: 10% 20/200 MB');
  expect(lines[9]).toBe('Unpacking: 100% 200/200 MB');
});

test('and one after ten quiet seconds, with the words behind it', () => {
  const progress = createProgress({ total: 1000, unit: 'step', label: 'Epoch 1/2', stream });
  progress.update(1, 'loss 9.1');
  expect(written()).toBe('');
  vi.advanceTimersByTime(10_001);
  progress.update(2, 'loss 9.0');
  progress.update(3, 'loss 8.9');
  expect(written()).toBe('Epoch 1/2: 0% 2/1000 step loss 9.0\n');
});

test('without a total: what is done, now and then', () => {
  const progress = createProgress({ unit: 'bytes', label: 'Downloading', stream });
  progress.update(5e6);
  vi.advanceTimersByTime(10_001);
  progress.update(7e6);
  expect(written()).toBe('Downloading: 7 MB\n');
});

test('after stop nothing is written', () => {
  const progress = createProgress({ total: 10, unit: 'step', label: 'x', stream });
  progress.stop();
  progress.update(10);
  expect(written()).toBe('');
});

test('on a terminal: a bar, that stays where it was stopped', () => {
  stream.isTTY = true;
  const progress = createProgress({ total: 10, unit: 'step', label: 'Epoch', stream });
  progress.update(5, 'loss 1.5');
  progress.stop();
  progress.stop();
  expect(written()).toMatch(/Epoch \[={15} +\] 50% 5\/10 step loss 1\.5/);
});
