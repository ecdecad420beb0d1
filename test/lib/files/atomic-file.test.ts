import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { DetectorError } from '../../../lib/base/errors.ts';
import { ensureWritableDirectory, replaceFile, writeFailure, writeFileAtomic } from '../../../lib/files/atomic-file.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomic-'));
});

describe('writeFileAtomic', () => {
  it('writes a new file, then another over it, and leaves nothing else', async () => {
    const path = join(dir, 'a.json');
    await writeFileAtomic(path, 'first');
    await writeFileAtomic(path, Buffer.from('second'));
    expect(await readFile(path, 'utf8')).toBe('second');
    expect(await readdir(dir)).toEqual(['a.json']);
  });

  it('names the path and the remedy when a part of the path is a file', async () => {
    await writeFile(join(dir, 'file'), '');
    const path = join(dir, 'file', 'a.json');
    await expect(writeFileAtomic(path, 'x')).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
    await expect(writeFileAtomic(path, 'x')).rejects.toThrow(`Cannot write ${path}`);
    await expect(writeFileAtomic(path, 'x')).rejects.toThrow('choose another place');
  });

  it('does not replace a directory', async () => {
    await expect(writeFileAtomic(dir, 'x')).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
    expect(await readdir(dir)).toEqual([]);
  });
});

describe('replaceFile', () => {
  it('keeps the old file, removes the temporary one and passes the error on when the writer fails', async () => {
    const path = join(dir, 'a.bin');
    await writeFileAtomic(path, 'old');
    const failure = new Error('the model is gone');
    const write = async (temporaryPath: string) => {
      await writeFile(temporaryPath, 'half');
      throw failure;
    };
    await expect(replaceFile(path, write)).rejects.toBe(failure);
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(dir)).toEqual(['a.bin']);
  });

  it('names the file that was asked for, where the writer names the temporary one', async () => {
    const path = join(dir, '$& a.bin');
    const write = async (temporaryPath: string) => {
      throw new DetectorError('OUTPUT_NOT_WRITABLE', `Writing ${temporaryPath} failed; is the disk full?`);
    };
    const code = 'OUTPUT_NOT_WRITABLE';
    await expect(replaceFile(path, write)).rejects.toMatchObject({
      code,
      message: `Writing ${path} failed; is the disk full?`,
    });
  });

  it('gives a temporary path in the same directory', async () => {
    await replaceFile(join(dir, 'a.bin'), async (temporaryPath) => {
      expect(temporaryPath.startsWith(join(dir, '.a.bin.'))).toBe(true);
      await writeFile(temporaryPath, 'x');
    });
  });
});

describe('ensureWritableDirectory', () => {
  it('makes a directory with its parents and leaves it empty', async () => {
    const path = join(dir, 'a', 'b');
    await ensureWritableDirectory(path);
    expect(await readdir(path)).toEqual([]);
  });

  it.each(['through a file', 'in /proc'])('refuses a place %s', async (where) => {
    await writeFile(join(dir, 'file'), '');
    const path = where === 'in /proc' ? '/proc/no-such-place' : join(dir, 'file', 'run');
    await expect(ensureWritableDirectory(path)).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
  });
});

describe('writeFailure', () => {
  it.each([
    ['ENOSPC', 'free some space'],
    ['EROFS', 'read-only'],
    ['EACCES', 'Grant write permission'],
  ])('explains %s', (code, remedy) => {
    const error = writeFailure('/out/x', Object.assign(new Error('failed'), { code }));
    expect(error).toBeInstanceOf(DetectorError);
    expect((error as DetectorError).message).toContain(remedy);
  });

  it('leaves other errors as they are', () => {
    const error = new Error('mine');
    expect(writeFailure('/out/x', error)).toBe(error);
  });
});
