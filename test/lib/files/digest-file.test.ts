import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { digestFile } from '../../../lib/files/digest-file.ts';
import { temporaryFolder } from '../../support/voc.ts';

it.each([0, 1, 2 ** 20, 2 ** 20 + 1, 3_500_000])('is the SHA-256 of %i bytes', async (length) => {
  const path = join(await temporaryFolder(), 'file');
  const bytes = Buffer.alloc(length, 'some text');
  await writeFile(path, bytes);
  expect(await digestFile(path)).toEqual({ sha256: createHash('sha256').update(bytes).digest('hex'), bytes: length });
});

it('rejects for a file that is not there', async () => {
  await expect(digestFile(join(await temporaryFolder(), 'none'))).rejects.toThrow('ENOENT');
});
