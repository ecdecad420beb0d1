import { afterEach, expect, it, vi } from 'vitest';
import { runProgram } from '../../../../lib/cli/program.ts';

afterEach(() => vi.restoreAllMocks());

it.each([
  [['--checkpoint', 'none'], 'none'],
  [[], "required option '--checkpoint <dir>'"],
  [['--checkpoint', 'none', '--images', '0'], '--images'],
  [['--checkpoint', 'none', '--split', 'all'], '--split'],
])('benchmark %j: says what is wrong', async (args, message) => {
  const error: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => error.push(String(text)) > 0);
  vi.spyOn(console, 'error').mockImplementation((text) => void error.push(`${text}`));
  expect(await runProgram(['benchmark', ...args])).not.toBe(0);
  expect(error.join('')).toContain(message);
});
