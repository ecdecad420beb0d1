import { execFileSync } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type CheckpointContent, findManifest, makeManifest, readManifest } from '../../../lib/detector/manifest.ts';
import { temporaryFolder } from '../../support/voc.ts';

const content: CheckpointContent = {
  createdBy: 'dinov3-det 0.1.0',
  classes: ['__background__', 'Kätzchen'],
  model: { preset: 'ssd', learningRate: 1e-3 },
};
const files = { 'model.safetensors': { sha256: 'ab'.repeat(32), bytes: 28 } };

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await temporaryFolder();
  path = join(dir, 'checkpoint.json');
});

describe('a manifest', () => {
  it('is read as it was made', async () => {
    const { manifest, text } = makeManifest(content, files);
    await writeFile(path, text);
    expect(await findManifest(dir)).toEqual({ manifest, text, isNext: false });
    expect(manifest).toMatchObject({ format: 'dinov3-det-checkpoint', version: 1, ...content, files });
  });

  it('is refused with any single bit flipped, tried at every fifth', async () => {
    const bytes = Buffer.from(makeManifest(content, files).text);
    const accepted: string[] = [];
    for (let bit = 0; bit < 8 * bytes.length; bit += 5) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      await writeFile(path, flipped);
      const error = await readManifest(dir, 'checkpoint.json').then(
        () => undefined,
        (reason: { code: string }) => reason,
      );
      if (!['CHECKPOINT_CORRUPT', 'CHECKPOINT_MISMATCH'].includes(error?.code ?? '')) accepted.push(flipped.toString());
    }
    expect(accepted).toEqual([]);
  });

  it('may be written in another form, with the same meaning', async () => {
    const { manifest, text } = makeManifest(content, files);
    const turned = Object.fromEntries(Object.entries(JSON.parse(text)).reverse());
    await writeFile(path, JSON.stringify(turned));
    expect((await findManifest(dir))!.manifest).toEqual(manifest);
  });

  it('of an earlier version has no seal, and nothing that such a version did not write', async () => {
    const { seal: _, ...unsealed } = JSON.parse(makeManifest(content, files).text);
    await writeFile(path, JSON.stringify(unsealed));
    expect((await findManifest(dir))!.manifest).toEqual(unsealed);
    await writeFile(path, JSON.stringify({ ...unsealed, sdal: '0' }));
    await expect(findManifest(dir)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });

  it.skipIf(process.platform === 'win32')('is not waited for where it is a pipe, nor read without end', async () => {
    execFileSync('mkfifo', [path]);
    await expect(findManifest(dir)).rejects.toThrow('it is not a regular file');
    await rm(path);
    const { text } = makeManifest(
      { ...content, classes: Array.from({ length: 300_000 }, (_, i) => `class-${i}`) },
      files,
    );
    await writeFile(path, text);
    await expect(findManifest(dir)).rejects.toThrow('more than the');
    expect((await readFile(path)).length).toBeGreaterThan(2 << 20);
  });
});
