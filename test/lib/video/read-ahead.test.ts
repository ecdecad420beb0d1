import { setImmediate, setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ReadAhead } from '../../../lib/video/read-ahead.ts';

/** Counts from 0; tells how far it was read, and whether it was ended. */
function counter(end = Number.POSITIVE_INFINITY) {
  const state = { given: 0, isClosed: false };
  async function* count() {
    try {
      for (; state.given < end; ) yield state.given++;
    } finally {
      state.isClosed = true;
    }
  }
  return { state, source: count() };
}
const settle = async () => {
  for (let i = 0; i < 20; i++) await setImmediate();
};

describe('ReadAhead', () => {
  it('gives every item once, in order, and knows the end', async () => {
    const ahead = new ReadAhead(counter(7).source, 3);
    expect(await ahead.take(3, 3)).toEqual([0, 1, 2]);
    expect(await ahead.take(3, 3)).toEqual([3, 4, 5]);
    expect(await ahead.take(3, 3)).toEqual([6]);
    expect(await ahead.take(3, 3)).toEqual([]);
    expect(await ahead.take(3, 3)).toEqual([]);
    expect(ahead.dropped).toBe(0);
  });

  it('is read in a loop', async () => {
    const seen: number[] = [];
    for await (const item of new ReadAhead(counter(100).source, 2)) seen.push(item);
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  it('reads no further ahead than its capacity and one', async () => {
    const { source, state } = counter();
    const ahead = new ReadAhead(source, 4);
    await settle();
    expect(state.given).toBe(5);
    await ahead.take(1, 1);
    await settle();
    expect(state.given).toBe(6);
    await ahead.stop();
    expect(state.isClosed).toBe(true);
  });

  it('drops the oldest when it is told to', async () => {
    const ahead = new ReadAhead(counter(10).source, 3, true);
    await settle();
    expect(await ahead.take(1, 8)).toEqual([7, 8, 9]);
    expect(ahead.dropped).toBe(7);
    expect(await ahead.take(1, 8)).toEqual([]);
  });

  it('takes what there is when one is enough', async () => {
    async function* slow() {
      yield 'a';
      yield 'b';
      await setTimeout(50);
      yield 'c';
    }
    const ahead = new ReadAhead(slow(), 8, true);
    await settle();
    expect(await ahead.take(1, 8)).toEqual(['a', 'b']);
    expect(await ahead.take(1, 8)).toEqual(['c']);
  });

  it('throws what the source threw, after its items', async () => {
    async function* breaking() {
      yield 1;
      throw new Error('broken');
    }
    const ahead = new ReadAhead(breaking(), 2);
    await settle();
    expect(await ahead.take(2, 2)).toEqual([1]);
    await expect(ahead.take(2, 2)).rejects.toThrow('broken');
    await ahead.stop();
  });
});
