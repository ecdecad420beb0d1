import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openWeights, weightsFormat } from '../../../lib/weights/open-weights.ts';
import { layoutSafetensors } from '../../../lib/weights/safetensors.ts';
import { fixture } from '../../support/shared.ts';
import { saveStateDict } from '../../support/torch-save.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

const bytes = Buffer.alloc(8);
const names = ['stages.0.0.dwconv.bias', 'norm.bias', 'norms.3.bias', 'projector.weight', 'mask_token'];
const torch = saveStateDict(names.map((name, index) => ({ name, shape: [2], bytes: Buffer.alloc(8, index + 1) })));
const { header } = layoutSafetensors(names.map((name) => ({ name, dtype: 'F32', shape: [0] })));

async function saved(content: Buffer, name = 'weights'): Promise<string> {
  const path = join(await temporaryFolder(), name);
  await writeFile(path, content);
  return path;
}

describe('weightsFormat', () => {
  it('goes by content, whatever the name says', async () => {
    expect(await weightsFormat(await saved(header, 'a.pth'))).toBe('safetensors');
    expect(await weightsFormat(await saved(torch, 'a.safetensors'))).toBe('torch');
    expect(await weightsFormat(fixture('torchscript/one_map.pt'))).toBe('torchscript');
    expect(await weightsFormat(fixture('pth/last_model.pth'))).toBe('torch');
  });

  it.each<[string, Buffer, string]>([
    ['nothing', Buffer.alloc(0), 'unknown format'],
    ['three bytes of a zip archive', Buffer.from('PK\x03'), 'unknown format'],
    ['a web page', Buffer.from('<!doctype html><title>Sign in</title>'), 'not a web page'],
    ['a pointer of Git LFS', Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:'), 'unknown format'],
    ['a cut safetensors file', header.subarray(0, 20), 'Check that the download is complete'],
  ])('refuses %s', async (_, content, words) => {
    const path = await saved(content);
    await expectError(weightsFormat(path), 'WEIGHTS_INVALID', path, words);
  });

  it('says what is not there or no file', async () => {
    const folder = await temporaryFolder();
    await expectError(weightsFormat(join(folder, 'none')), 'WEIGHTS_NOT_FOUND', join(folder, 'none'));
    await mkdir(join(folder, 'directory'));
    await expectError(weightsFormat(join(folder, 'directory')), 'WEIGHTS_INVALID', 'not a file');
  });

  it.skipIf(process.platform === 'win32')('does not wait for a pipe', async () => {
    const path = join(await temporaryFolder(), 'pipe');
    execFileSync('mkfifo', [path]);
    await expectError(weightsFormat(path), 'WEIGHTS_INVALID', 'not a file');
  });
});

describe('openWeights', () => {
  it.each([
    ['torch', torch],
    ['safetensors', header],
  ])('gives our names to the tensors of a %s file, and lists what is not needed', async (format, content) => {
    const opened = await openWeights(await saved(content));
    const source = 'facebookresearch/dinov3';
    expect(opened).toMatchObject({ format, source, unneeded: expect.arrayContaining(['mask_token']) });
    expect(opened.tensors.map(({ name }) => name)).toContain('backbone.norm.bias');
  });

  it('knows where the bytes are and what has a second name', async () => {
    const opened = await openWeights(await saved(torch));
    expect(opened.tensors.map(({ name }) => name)).toEqual(['backbone.stages.0.0.dwconv.bias', 'backbone.norm.bias']);
    expect(opened.unneeded).toEqual(['projector.weight', 'mask_token']);
    for (const [index, { offset, byteLength }] of opened.tensors.entries())
      expect(torch.subarray(offset, offset + byteLength)).toEqual(Buffer.alloc(8, index + 1));
  });

  it('knows nothing in the file of another network', async () => {
    const content = saveStateDict([{ name: 'conv1.weight', shape: [2], bytes }]);
    const opened = await openWeights(await saved(content));
    expect(opened).toEqual({ format: 'torch', source: undefined, tensors: [], unneeded: ['conv1.weight'] });
  });

  it('sends a TorchScript program where it belongs', async () => {
    await expectError(openWeights(fixture('torchscript/one_map.pt')), 'WEIGHTS_INVALID', '{ torchscript: path }');
  });
});
