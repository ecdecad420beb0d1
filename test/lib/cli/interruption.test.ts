import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Interrupted, interruptible } from '../../../lib/cli/interruption.ts';

let now = 0;
const exit = vi.fn();
const say = vi.fn();

beforeEach(() => {
  now = 1000;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  vi.spyOn(process, 'exit').mockImplementation(exit as never);
  vi.spyOn(console, 'error').mockImplementation(say);
});
afterEach(() => {
  vi.restoreAllMocks();
  exit.mockClear();
  say.mockClear();
});

const interrupt = () => process.emit('SIGINT');

describe('interruptible', () => {
  it('passes the result on, and listens no longer than the action lasts', async () => {
    const before = process.listenerCount('SIGINT');
    const result = await interruptible('Saving', async (signal) => {
      expect(process.listenerCount('SIGINT')).toBe(before + 1);
      return signal.aborted;
    });
    expect(result).toBe(false);
    expect(process.listenerCount('SIGINT')).toBe(before);
    await expect(interruptible('Saving', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(process.listenerCount('SIGINT')).toBe(before);
  });

  it('aborts at the first Ctrl-C and says what happens', async () => {
    const action = interruptible('Saving', async (signal) => {
      interrupt();
      signal.throwIfAborted();
    });
    await expect(action).rejects.toThrow(Interrupted);
    expect(say).toHaveBeenCalledExactlyOnceWith('\nSaving (Ctrl-C again: stop at once)');
    expect(exit).not.toHaveBeenCalled();
  });

  it('takes the echo of npm for the same Ctrl-C, and a later one for the second', async () => {
    await interruptible('Saving', async () => {
      interrupt();
      now += 400;
      interrupt();
      expect(exit).not.toHaveBeenCalled();
      now += 200;
      interrupt();
    });
    expect(exit).toHaveBeenCalledExactlyOnceWith(130);
    expect(say).toHaveBeenCalledOnce();
  });
});
