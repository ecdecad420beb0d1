import { describe, expect, it } from 'vitest';

import type { NativeAddon } from '../../../lib/binding.ts';
import { loadAddon } from '../../../lib/libtorch/load.ts';

// Read once, when the first kernel is asked for: this file has a process of its own.
process.env.DINOV3_DET_DISABLE = 'depthwise,fused-mlp,bf16';
const { depthwiseConv, expectClose, residualMlp } = await import('./blocks.ts');

describe('DINOV3_DET_DISABLE', () => {
  const shape = { images: 2, channels: 16, height: 13, width: 7 };

  it('takes the plain paths, which give the same', () => {
    expectClose(depthwiseConv('float32', shape), depthwiseConv('float64', shape), 1e-5);
    expectClose(residualMlp('float32', shape), residualMlp('float64', shape), 2e-5);
    expectClose(residualMlp('bfloat16', shape), residualMlp('float64', shape), 5e-2);
  });

  it('is said by levers()', async () => {
    const { addon } = await loadAddon();
    const levers = (addon as NativeAddon).levers();
    const reasons = Object.fromEntries(levers.map(({ name, reason }) => [name, reason]));
    expect(Object.keys(reasons)).toEqual([
      'allocator',
      'depthwise',
      'fused-mlp',
      'mlp-rows',
      'packed-weights',
      'avx2',
      'avx512',
      'bf16',
      'graph',
    ]);
    expect(reasons.allocator).toBe('');
    expect(reasons.depthwise).toBe('switched off by DINOV3_DET_DISABLE');
    expect(reasons.bf16).toBe('switched off by DINOV3_DET_DISABLE');
    for (const { active, reason } of levers) expect(active).toBe(reason === '');
  });
});
