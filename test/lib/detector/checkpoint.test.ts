import { spawnSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { copyCheckpoint, openCheckpoint, readCheckpoint, saveCheckpoint } from '../../../lib/detector/checkpoint.ts';
import type { CheckpointContent } from '../../../lib/detector/manifest.ts';
import type { RunOptions } from '../../../lib/training/trainer-options.ts';
import { freshState } from '../../../lib/training/training-state.ts';
import { rewriteManifest } from '../../support/manifests.ts';

/** Operations that change the disk; after `left` of them the power is off and none works any more. */
const power = vi.hoisted(() => ({ left: Number.POSITIVE_INFINITY }));
vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>();
  const spend = () => {
    if (power.left-- <= 0) throw new Error('power cut');
  };
  const withPower =
    <A extends unknown[], R>(operation: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      spend();
      return operation(...args);
    };
  const writeFile = async (path: string, content: string) => {
    // The cut may come when a part of the content is written.
    if (power.left === 0) await real.writeFile(path, content.slice(0, 3));
    spend();
    await real.writeFile(path, content);
  };
  return { ...real, mkdir: withPower(real.mkdir), rename: withPower(real.rename), rm: withPower(real.rm), writeFile };
});

let dir: string;
beforeEach(async () => {
  power.left = Number.POSITIVE_INFINITY;
  dir = join(await mkdtemp(join(tmpdir(), 'checkpoint-')), 'last');
});

const content = (epoch: number): CheckpointContent => ({
  createdBy: 'dinov3-det 0.1.0',
  classes: ['__background__', 'cat'],
  model: { backbone: 'tiny' },
  training: { ...freshState({} as RunOptions), epoch },
});
const text = (value: string) => (path: string) => writeFile(path, value);
const save = (epoch: number, files = ['model.safetensors', 'optimizer.safetensors']) =>
  saveCheckpoint(
    dir,
    content(epoch),
    Object.fromEntries(files.map((name) => [name, text(`${name} of epoch ${epoch}`)])),
  );

/** The epoch of the checkpoint that is there; every file of it must be of that epoch. */
async function openedEpoch(): Promise<number> {
  const { manifest, path } = await openCheckpoint(dir);
  const epoch = manifest.training!.epoch;
  for (const name of Object.keys(manifest.files)) {
    expect(await readFile(path(name), 'utf8')).toBe(`${name} of epoch ${epoch}`);
  }
  return epoch;
}

describe('saveCheckpoint and openCheckpoint', () => {
  it('keep what was saved, under the names that were given', async () => {
    await save(1);
    const { manifest, path } = await openCheckpoint(dir);
    expect(manifest).toMatchObject({ format: 'dinov3-det-checkpoint', version: 1, ...content(1) });
    expect(manifest.files['model.safetensors']).toEqual({
      // printf 'model.safetensors of epoch 1' | sha256sum
      sha256: '589af3c3b767977593a1a48173e39dc25ba340d546ee6c4f616c34d12b9012c1',
      bytes: 28,
    });
    expect(path('model.safetensors')).toBe(join(dir, 'model.safetensors'));
    expect((await readdir(dir)).sort()).toEqual(['checkpoint.json', 'model.safetensors', 'optimizer.safetensors']);
  });

  it('save over an older checkpoint and drop the files that the new one has not', async () => {
    await save(1);
    await writeFile(join(dir, 'notes.txt'), 'mine');
    await save(2, ['model.safetensors']);
    expect(await openedEpoch()).toBe(2);
    expect((await readdir(dir)).sort()).toEqual(['checkpoint.json', 'model.safetensors', 'notes.txt']);
    const { path } = await openCheckpoint(dir);
    expect(() => path('optimizer.safetensors')).toThrow('is not part of this checkpoint');
  });

  it('have the old or the new checkpoint whole, wherever the power is cut', async () => {
    const outcomes: number[] = [];
    for (let cut = 0; ; cut++) {
      power.left = Number.POSITIVE_INFINITY;
      await rm(dir, { recursive: true, force: true });
      await save(1);
      power.left = cut;
      const failure = await save(2, ['model.safetensors', 'backbone.torchscript']).then(
        () => undefined,
        (error: Error) => error,
      );
      power.left = Number.POSITIVE_INFINITY;
      outcomes.push(await openedEpoch());
      // And the next save works, over whatever is there.
      await save(3);
      expect(await openedEpoch()).toBe(3);
      expect((await readdir(dir)).sort()).toEqual(['checkpoint.json', 'model.safetensors', 'optimizer.safetensors']);
      if (failure === undefined) break;
      expect(failure.message).toContain('power cut');
    }
    // 3 files written, the manifest renamed (commit), 2 files renamed, 1 removed, the manifest renamed.
    expect(outcomes.length).toBeGreaterThan(7);
    expect(outcomes).toEqual([...outcomes].sort());
    expect(new Set(outcomes)).toEqual(new Set([1, 2]));
    expect(outcomes.filter((epoch) => epoch === 2).length).toBeGreaterThan(3);
  });

  it('can save again after the power was cut in the very first save', async () => {
    for (let cut = 0; cut < 6; cut++) {
      await rm(dir, { recursive: true, force: true });
      power.left = cut;
      await expect(save(1)).rejects.toThrow('power cut');
      power.left = Number.POSITIVE_INFINITY;
      await save(2);
      expect(await openedEpoch()).toBe(2);
    }
  });

  it('leave the old checkpoint alone when a file cannot be made', async () => {
    await save(1);
    const failure = new Error('out of memory');
    const files = { 'model.safetensors': text('new'), 'optimizer.safetensors': () => Promise.reject(failure) };
    await expect(saveCheckpoint(dir, content(2), files)).rejects.toBe(failure);
    expect(await openedEpoch()).toBe(1);
    expect(await readdir(dir)).not.toContain('model.safetensors.next');
  });
});

describe('several at once', () => {
  it('save one after the other, also over the lock of a process that was killed', async () => {
    const dead = spawnSync(process.execPath, ['-e', '0']).pid;
    await mkdir(dir);
    await writeFile(join(dir, '.checkpoint.lock'), JSON.stringify({ pid: dead, host: hostname(), token: '' }));
    await Promise.all([1, 2, 3, 4].map((epoch) => save(epoch)));
    expect(await openedEpoch()).toBe(4);
    expect((await readdir(dir)).sort()).toEqual(['checkpoint.json', 'model.safetensors', 'optimizer.safetensors']);
  });

  it('load what another one saves meanwhile, and never call it damaged', async () => {
    await save(0);
    let saving = true;
    const saves = (async () => {
      for (let epoch = 1; epoch <= 25; epoch++) await save(epoch, epoch % 2 ? ['model.safetensors'] : undefined);
      saving = false;
    })();
    let loads = 0;
    while (saving) {
      const epoch = await readCheckpoint(dir, async ({ manifest, path }) => {
        const epoch = manifest.training!.epoch;
        for (const name of Object.keys(manifest.files))
          if ((await readFile(path(name), 'utf8')) !== `${name} of epoch ${epoch}`) throw new Error('mixed');
        return epoch;
      });
      expect(epoch).toBeLessThanOrEqual(25);
      loads++;
    }
    await saves;
    expect(loads).toBeGreaterThan(5);
  });
});

describe('copyCheckpoint', () => {
  it('makes another one of the same content, which later saves leave alone', async () => {
    const copy = join(dir, '..', 'previous');
    await copyCheckpoint(dir, copy);
    expect(await readdir(join(dir, '..'))).toEqual([]);
    for (const epoch of [1, 2]) {
      await save(epoch);
      await copyCheckpoint(dir, copy);
      await copyCheckpoint(dir, copy);
    }
    await save(3);
    dir = copy;
    expect(await openedEpoch()).toBe(2);
    expect((await readdir(dir)).sort()).toEqual(['checkpoint.json', 'model.safetensors', 'optimizer.safetensors']);
  });
});

describe('saveCheckpoint', () => {
  it('does not save into a directory of something else', async () => {
    await writeFile(join(dir, '..', 'thesis.txt'), 'mine');
    dir = join(dir, '..');
    await expect(save(1)).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
    await expect(save(1)).rejects.toThrow('thesis.txt');
    expect(await readdir(dir)).toEqual(['thesis.txt']);
  });

  it('does not overwrite a file of its own names that its checkpoint does not know, nor a foreign checkpoint.json', async () => {
    await save(1, ['model.safetensors']);
    await writeFile(join(dir, 'optimizer.safetensors'), 'mine');
    await expect(save(2)).rejects.toThrow('optimizer.safetensors is there');
    await writeFile(join(dir, 'checkpoint.json'), '{"format":"another"}');
    await expect(save(2)).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
    expect(await readFile(join(dir, 'optimizer.safetensors'), 'utf8')).toBe('mine');
  });

  it('names a place that cannot be written', async () => {
    await writeFile(dir, 'a file');
    dir = join(dir, 'last');
    await expect(save(1)).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
    await expect(save(1)).rejects.toThrow(dir);
  });

  it.each(['../model', 'a/b', 'checkpoint.json', 'model.next', '.hidden', ''])(
    'refuses the file name %j',
    async (name) => {
      await expect(save(1, [name])).rejects.toThrow(TypeError);
    },
  );
});

describe('openCheckpoint', () => {
  it('says what it looked for when there is none', async () => {
    await expect(openCheckpoint(dir)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
    await expect(openCheckpoint(dir)).rejects.toThrow(dir);
    await expect(openCheckpoint(dir)).rejects.toThrow('model.safetensors');
    await writeFile(dir, 'a file');
    await expect(openCheckpoint(dir)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
  });

  it.each<[string, (path: string) => Promise<void>, string]>([
    ['with one flipped bit', flipBit, 'has the SHA-256'],
    ['cut short', (path) => truncate(path, 5), 'has 5 bytes, its checkpoint says 32'],
    ['with a tail', (path) => appendFile(path, 'x'), 'has 33 bytes'],
    ['that is missing', (path) => rm(path), 'is missing'],
  ])('names a file %s', async (_, damage, words) => {
    await save(1);
    const path = join(dir, 'optimizer.safetensors');
    await damage(path);
    await expect(openCheckpoint(dir)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
    await expect(openCheckpoint(dir)).rejects.toThrow(`${path} ${words}`);
  });

  it.each<[string, (manifest: Record<string, unknown>) => unknown, string]>([
    ['another format', (m) => ({ ...m, format: 'x' }), 'CHECKPOINT_CORRUPT'],
    ['a newer version', (m) => ({ ...m, version: 2 }), 'CHECKPOINT_MISMATCH'],
    ['no classes', (m) => ({ ...m, classes: [] }), 'CHECKPOINT_CORRUPT'],
    ['a number as class', (m) => ({ ...m, classes: ['a', 7] }), 'CHECKPOINT_CORRUPT'],
    ['no model', (m) => ({ ...m, model: null }), 'CHECKPOINT_CORRUPT'],
    ['half an epoch', (m) => ({ ...m, training: { ...(m.training as object), epoch: 0.5 } }), 'CHECKPOINT_CORRUPT'],
    ...['gpu', 7].map((device): [string, (manifest: Record<string, unknown>) => unknown, string] => [
      `a run that computed on ${device}`,
      (m) => ({ ...m, training: { ...(m.training as object), compute: { device } } }),
      'CHECKPOINT_CORRUPT',
    ]),
    [
      'a file outside',
      (m) => ({ ...m, files: { '../../etc/passwd': { sha256: '0'.repeat(64), bytes: 1 } } }),
      'CHECKPOINT_CORRUPT',
    ],
    ['a file without a hash', (m) => ({ ...m, files: { 'model.safetensors': { bytes: 1 } } }), 'CHECKPOINT_CORRUPT'],
    ['no object', () => [], 'CHECKPOINT_CORRUPT'],
  ])('refuses a manifest with %s', async (_, change, code) => {
    await save(1);
    const path = join(dir, 'checkpoint.json');
    await rewriteManifest(dir, change as never);
    await expect(openCheckpoint(dir)).rejects.toMatchObject({ code });
    await expect(openCheckpoint(dir)).rejects.toThrow(path);
  });

  it('refuses a manifest that is no JSON', async () => {
    await save(1);
    await truncate(join(dir, 'checkpoint.json'), 40);
    await expect(openCheckpoint(dir)).rejects.toThrow('is not JSON');
  });
});

async function flipBit(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[7]! ^= 4;
  await writeFile(path, bytes);
}
