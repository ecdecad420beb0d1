import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/temporary-directory.ts',
    // A process per file: the addon and LibTorch's thread pools are per-process state. One compute thread in each: two processes
    // of two threads on two cores would mostly wait for each other.
    pool: 'forks',
    maxWorkers: 2,
    env: { OMP_NUM_THREADS: '1' },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
