import { execFileSync } from 'node:child_process';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readBoundedFile } from '../../../lib/files/bounded-file.ts';
import { temporaryFolder, writeFiles } from '../../support/voc.ts';

describe('readBoundedFile', () => {
  it('reads a file up to the limit', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { a: 'four', empty: '' });
    expect((await readBoundedFile(join(folder, 'a'), 4)).toString()).toBe('four');
    expect(await readBoundedFile(join(folder, 'empty'), 4)).toHaveLength(0);
    await expect(readBoundedFile(join(folder, 'a'), 3)).rejects.toThrow('it has 4 bytes, more than the 3 allowed');
  });

  it('reads nothing of a huge file', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { huge: '' });
    await truncate(join(folder, 'huge'), 2 ** 40);
    await expect(readBoundedFile(join(folder, 'huge'), 1000)).rejects.toThrow('1099511627776 bytes');
  });

  it('says what is not a file', async () => {
    const folder = await temporaryFolder();
    await expect(readBoundedFile(folder, 1000)).rejects.toThrow('it is a directory');
    await expect(readBoundedFile(join(folder, 'none'), 1000)).rejects.toThrow('it does not exist');
    await expect(readBoundedFile(join(folder, 'a\0b'), 1000)).rejects.toThrow('null bytes');
  });

  it.skipIf(process.platform === 'win32')('does not wait for a pipe', async () => {
    const folder = await temporaryFolder();
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    await expect(readBoundedFile(join(folder, 'pipe'), 1000)).rejects.toThrow('it is not a regular file');
  });
});
