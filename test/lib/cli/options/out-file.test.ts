import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkOutFile } from '../../../../lib/cli/options/out-file.ts';
import { temporaryFolder, writeFiles } from '../../../support/voc.ts';

it('takes a new file, an old one only by force, a directory never', async () => {
  const folder = await temporaryFolder();
  await writeFiles(folder, { old: 'mine' });
  await expect(checkOutFile('--out', join(folder, 'new'), false)).resolves.toBeUndefined();
  await expect(checkOutFile('--out', join(folder, 'old'), true)).resolves.toBeUndefined();
  await expect(checkOutFile('--out', join(folder, 'old'), false)).rejects.toThrow(/^--out: .*old already exists/);
  await expect(checkOutFile('--out', folder, true)).rejects.toThrow(/^--out: .* is a directory/);
});
