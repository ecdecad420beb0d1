import { describe, expect, it } from 'vitest';

import { loadTestAddon } from '../support.ts';

const addon = await loadTestAddon();
const MB = 2 ** 20;

describe('the caching allocator', () => {
  it('serves tensors of a size again from the blocks of those before', () => {
    const sizes = [MB, MB, 3 * MB];
    const [first, second] = addon.cachedTensors([sizes, sizes]);
    const [live, , , liveAfter, cachedAfter] = first!;
    expect(live).toBeGreaterThanOrEqual(5 * MB);
    expect(live).toBeLessThanOrEqual((5 * MB * 9) / 8);
    expect([liveAfter, cachedAfter]).toEqual([0, live]);
    expect(second).toEqual([live, 0, live, 0, live, 3]);
  });

  it('serves smaller ones too, down to half the size, from the smallest block that is large enough', () => {
    const liveAfter = (kept: number[], size: number) => {
      addon.releaseCachedMemory();
      return addon.cachedTensors([kept, [size]])[1]![0];
    };
    expect(liveAfter([16 * MB], 8 * MB)).toBe(16 * MB);
    expect(liveAfter([16 * MB], 7 * MB)).toBe(7 * MB);
    expect(liveAfter([16 * MB, 12 * MB], 9 * MB)).toBe(12 * MB);
    addon.releaseCachedMemory();
  });

  it('rounds up by at most an eighth', () => {
    for (const size of [65_536, 65_537, 100_000, 1_000_001, 8_388_607, 8_388_609]) {
      const live = addon.cachedTensors([[size]])[0]![0];
      expect(live).toBeGreaterThanOrEqual(size);
      expect(live).toBeLessThanOrEqual((size * 9) / 8 + 1);
    }
  });

  it('never holds more than 9/8 of what was once needed at a time', () => {
    const lists = [[8 * MB], [6 * MB], [2 * MB, 2 * MB], [7 * MB], [MB, 4 * MB, 2 * MB], [16 * MB], [9 * MB, MB]];
    for (const [live, cached, peak, liveAfter, cachedAfter] of addon.cachedTensors(lists)) {
      expect(live + cached).toBeLessThanOrEqual((peak * 9) / 8);
      expect(liveAfter + cachedAfter).toBeLessThanOrEqual((peak * 9) / 8);
    }
  });

  it('does not count what it could not have as once needed', () => {
    const peak = () => addon.cachedTensors([[MB]])[0]![2];
    const before = peak();
    expect(() => addon.cachedTensors([[2 ** 50]])).toThrow(/can't allocate memory/);
    expect(peak()).toBe(before);
  });

  it('keeps nothing from the system once everything is given back', () => {
    const resident = () => process.memoryUsage.rss() / MB;
    const before = resident();
    addon.cachedTensors([Array.from({ length: 100 }, () => 4 * MB)]);
    expect(resident() - before).toBeGreaterThan(300);
    addon.releaseCachedMemory();
    expect(resident() - before).toBeLessThan(50);
  });

  it('leaves small tensors alone, and gives everything back when asked to', () => {
    expect(addon.cachedTensors([[1, 1000, 65_535]])[0]!.slice(3, 4)).toEqual([0]);
    addon.cachedTensors([[MB]]);
    expect(addon.releaseCachedMemory()).toBe(0);
    expect(addon.cachedTensors([[1, 1000, 65_535]])[0]!.slice(0, 2)).toEqual([0, 0]);
  });
});
