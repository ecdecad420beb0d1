import { describe, expect, it } from 'vitest';
import { runInSlices } from '../../../lib/base/time-slices.ts';

describe('runInSlices', () => {
  it('gives the event loop its turn between the pieces of work, and returns the result', async () => {
    const events: string[] = [];
    function* work(): Generator<void, number> {
      for (const piece of ['first', 'second']) {
        events.push(piece);
        setImmediate(() => events.push(`after ${piece}`));
        yield;
      }
      return 42;
    }
    expect(await runInSlices(work(), 0)).toBe(42);
    expect(events).toEqual(['first', 'after first', 'second', 'after second']);
  });

  it('does short work in one turn', async () => {
    let turns = 0;
    setImmediate(() => turns++);
    function* work(): Generator<void, number> {
      yield;
      return turns;
    }
    expect(await runInSlices(work(), 60_000)).toBe(0);
  });

  it('rejects with what the work throws', async () => {
    // biome-ignore lint/correctness/useYield: it fails before its first pause
    function* work(): Generator<void, number> {
      throw new RangeError('no such thing');
    }
    await expect(runInSlices(work())).rejects.toThrow(RangeError);
  });

  it('stops between the pieces with the reason of the signal', async () => {
    const abort = new AbortController();
    let pieces = 0;
    function* work(): Generator<void> {
      for (;;) {
        if (++pieces === 3) abort.abort(new Error('enough'));
        yield;
      }
    }
    await expect(runInSlices(work(), 0, abort.signal)).rejects.toThrow('enough');
    expect(pieces).toBe(3);
  });
});
