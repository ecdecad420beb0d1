import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const child = new URL('out-of-memory-child.ts', import.meta.url).pathname;
const canLimit = existsSync('/usr/bin/prlimit') && process.platform === 'linux';

describe.skipIf(!canLimit)('memory that runs out (needs prlimit of Linux)', () => {
  it('is an OUT_OF_MEMORY that names the batch; the weights stay, and the next call works', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', child]);
    const found = JSON.parse(stdout);
    expect(found.training).toMatch(/^OUT_OF_MEMORY: .*a training step with a batch of 24 pictures of 1024x1024/);
    expect(found.detection).toMatch(/^OUT_OF_MEMORY: .*detection with a batch of 24 pictures of 1024x1024/);
    expect(found.copy).toMatch(/^OUT_OF_MEMORY: .*a copy of the weights/);
    expect(found.losses[1]).toBe(found.losses[0]);
    expect(found.detections).toBeGreaterThan(0);
  });
});
