import { describe, expect, it } from 'vitest';

import type { NativeAddon } from '../../../lib/binding.ts';
import { loadAddon } from '../../../lib/libtorch/load.ts';

// Read once, when the first kernel is asked for: this file has a process of its own.
process.env.DINOV3_DET_DISABLE = 'depthwise,fused-mlp,bf16,graph';
const { depthwiseConv, expectClose, residualMlp } = await import('./blocks.ts');
const { options } = await import('../detectors.ts');
const { graphSteps } = await (await import('../support.ts')).loadTestAddon();

describe('DINOV3_DET_DISABLE', () => {
  const shape = { images: 2, channels: 16, height: 13, width: 7 };

  it('takes the plain paths, which give the same', () => {
    expectClose(depthwiseConv('float32', shape), depthwiseConv('float64', shape), 1e-5);
    expectClose(residualMlp('float32', shape), residualMlp('float64', shape), 2e-5);
    expectClose(residualMlp('bfloat16', shape), residualMlp('float64', shape), 5e-2);
  });

  it('records no step as a graph where there are graphs', () => {
    const objects = { counts: Int32Array.of(1), boxes: Float32Array.of(9, 10, 23, 22), labels: Int32Array.of(1) };
    const steps = Array.from({ length: 6 }, () => ({ objects, learningRate: 1e-3 }));
    const { recorded, results } = graphSteps(options, { optimizer: 'sgd', fineTune: true }, steps, {});
    expect([recorded, results.flat().length]).toEqual([0, 6]);
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
      'pixel-table',
      'avx2',
      'avx512',
      'bf16',
      'graph',
    ]);
    expect(reasons.allocator).toBe('');
    expect(reasons.depthwise).toBe('switched off by DINOV3_DET_DISABLE');
    expect(reasons.bf16).toBe('switched off by DINOV3_DET_DISABLE');
    expect(reasons.graph).toBe('switched off by DINOV3_DET_DISABLE');
    for (const { active, reason } of levers) expect(active).toBe(reason === '');
  });
});
