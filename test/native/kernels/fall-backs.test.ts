import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const script = fileURLToPath(new URL('./distances.ts', import.meta.url));

/** A process of its own for each: the levers are read once. */
async function distances(settings: NodeJS.ProcessEnv): Promise<{ float32: number; bfloat16: number }> {
  const env = { ...process.env, OMP_NUM_THREADS: '2', ...settings };
  const { stdout } = await run(process.execPath, ['--import', 'tsx', script], { env });
  return JSON.parse(stdout);
}

describe('the kernels of a network give the same', () => {
  it.each(['', 'avx512', 'avx2', 'mlp-rows', 'packed-weights', 'mlp-rows,packed-weights', 'depthwise', 'fused-mlp'])(
    'without "%s"',
    async (disable) => {
      const { float32, bfloat16 } = await distances({ DINOV3_DET_DISABLE: disable });
      expect(float32).toBeLessThan(2e-5);
      expect(bfloat16).toBeLessThan(0.15);
      expect(bfloat16).toBeGreaterThan(float32);
    },
  );

  it('on a processor for which oneDNN packs no bfloat16', async () => {
    const { float32, bfloat16 } = await distances({ ONEDNN_MAX_CPU_ISA: 'AVX2' });
    expect(float32).toBeLessThan(2e-5);
    expect(bfloat16).toBeLessThan(0.15);
  });
});
