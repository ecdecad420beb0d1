import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findWeights } from '../../../../lib/cli/options/weights-file.ts';
import { layoutSafetensors } from '../../../../lib/weights/safetensors.ts';
import { storedZip } from '../../../support/stored-zip.ts';
import { expectError, temporaryFolder, writeFiles } from '../../../support/voc.ts';

const safetensors = layoutSafetensors([]).header;
const zipWith = (record: string) => storedZip([[record, Buffer.from('N.')]]);

let folder: string;
const home = process.cwd();

beforeEach(async () => {
  folder = await temporaryFolder();
  process.chdir(folder);
  vi.stubEnv('DINOv3_WEIGHTS', undefined);
});
afterEach(() => {
  process.chdir(home);
  vi.unstubAllEnvs();
});

describe('findWeights', () => {
  it('takes a path as it is', async () => {
    await writeFiles(folder, { 'a/w.safetensors': safetensors, 'w/w.safetensors': safetensors });
    vi.stubEnv('DINOv3_WEIGHTS', join(folder, 'w'));
    expect(await findWeights(join(folder, 'a', 'w.safetensors'))).toEqual({
      path: join(folder, 'a', 'w.safetensors'),
      kind: 'safetensors',
    });
  });

  it('looks a bare name up in the folder that the environment names, before the current one', async () => {
    await writeFiles(folder, { 'w.safetensors': safetensors, 'w/w.safetensors': safetensors });
    expect(await findWeights('w.safetensors')).toMatchObject({ path: join(folder, 'w.safetensors') });
    vi.stubEnv('DINOv3_WEIGHTS', join(folder, 'w'));
    expect(await findWeights('w.safetensors')).toMatchObject({ path: join(folder, 'w', 'w.safetensors') });
  });

  it('reads .env as the article writes it, and leaves the environment alone', async () => {
    const text = '# Should be absolute path to DINOv3 weights.\nDINOv3_REPO="dinov3"\nDINOv3_WEIGHTS="my weights"\n';
    await writeFiles(folder, { '.env': text, 'my weights/w.safetensors': safetensors });
    expect(await findWeights('w.safetensors')).toMatchObject({ path: join(folder, 'my weights', 'w.safetensors') });
    expect(process.env.DINOv3_WEIGHTS).toBeUndefined();
    expect(process.env.DINOv3_REPO).toBeUndefined();
  });

  it('prefers the environment to .env', async () => {
    const files = { '.env': 'DINOv3_WEIGHTS=a', 'a/w.safetensors': safetensors, 'b/w.safetensors': safetensors };
    await writeFiles(folder, files);
    vi.stubEnv('DINOv3_WEIGHTS', join(folder, 'b'));
    expect(await findWeights('w.safetensors')).toMatchObject({ path: join(folder, 'b', 'w.safetensors') });
  });

  it('names every place where it looked', async () => {
    await expectError(findWeights('w.pt'), 'WEIGHTS_NOT_FOUND', join(folder, 'w.pt'), 'DINOv3_WEIGHTS');
    vi.stubEnv('DINOv3_WEIGHTS', join(folder, 'weights'));
    await expectError(findWeights('w.pt'), 'WEIGHTS_NOT_FOUND', join(folder, 'weights', 'w.pt'), join(folder, 'w.pt'));
    await mkdir(join(folder, 'w.pt'));
    await expectError(findWeights('w.pt'), 'WEIGHTS_NOT_FOUND', join(folder, 'w.pt'));
    await writeFiles(folder, { '.env/inside': '' });
    vi.stubEnv('DINOv3_WEIGHTS', undefined);
    await expectError(findWeights('w.pt'), 'CONFIG_INVALID', '.env');
  });

  it('tells formats by content, not by name', async () => {
    await writeFiles(folder, {
      'a.pth': safetensors,
      'b.safetensors': zipWith('model/constants.pkl'),
      'c.safetensors': zipWith('model/data.pkl'),
    });
    expect(await findWeights('a.pth')).toMatchObject({ kind: 'safetensors' });
    expect(await findWeights('b.safetensors')).toMatchObject({ kind: 'torchscript' });
    expect(await findWeights('c.safetensors')).toMatchObject({ kind: 'torch' });
  });

  it.each([
    ['an empty file', Buffer.alloc(0), 'unknown format'],
    ['text', Buffer.from('<html>404</html>'), 'unknown format'],
    ['a header longer than the file', Buffer.from('\xff\xff\0\0\0\0\0\0{}', 'latin1'), 'unknown format'],
  ])('says of %s which formats are taken', async (_, content, words) => {
    await writeFiles(folder, { 'w.pth': content });
    const error = findWeights('w.pth');
    await expectError(error, 'WEIGHTS_INVALID', join(folder, 'w.pth'), words, 'safetensors', 'TorchScript');
  });
});
