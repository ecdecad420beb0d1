import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

import { loadTestAddon } from '../support.ts';

const child = new URL('out-of-memory-child.ts', import.meta.url).pathname;
const canLimit = existsSync('/usr/bin/prlimit') && process.platform === 'linux';
const { attemptsWithEnoughMemory, cachedTensors } = await loadTestAddon();

describe('work with enough memory', () => {
  it.each(['C++', 'LibTorch', 'CUDA', 'oneDNN'])('is run once more without what was cached: %s', (library) => {
    cachedTensors([[2 ** 20]]);
    expect(attemptsWithEnoughMemory([library, ''])).toBe(2);
    expect(cachedTensors([[1]])[0]![1]).toBe(0);
    expect(() => attemptsWithEnoughMemory([library, library, ''])).toThrowError(
      expect.objectContaining({ code: 'OUT_OF_MEMORY', message: expect.stringContaining('the work') }),
    );
  });

  it('is run once where nothing is missing, or something else is', () => {
    expect(attemptsWithEnoughMemory([''])).toBe(1);
    expect(() => attemptsWithEnoughMemory(['oneDNN, unimplemented', ''])).toThrow(/could not create a primitive/);
    expect(() => attemptsWithEnoughMemory(['not a library', ''])).toThrowError(
      expect.objectContaining({ code: 'INVALID_OPTIONS' }),
    );
  });
});

describe.skipIf(!canLimit)('memory that runs out (needs prlimit of Linux)', () => {
  it('is an OUT_OF_MEMORY that names the batch; the weights stay, and the next call works', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', child]);
    const found = JSON.parse(stdout);
    expect(found.training).toMatch(/^OUT_OF_MEMORY: .*a training step with a batch of 96 images of 512x512/);
    expect(found.detection).toMatch(/^OUT_OF_MEMORY: .*detection with a batch of 96 images of 512x512/);
    expect(found.copy).toMatch(/^OUT_OF_MEMORY: .*a copy of the weights/);
    expect(found.losses[1]).toBe(found.losses[0]);
    expect(found.detections).toBeGreaterThan(0);
  });
});
