import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runProgram } from '../../../../lib/cli/program.ts';
import { saveCheckpoint } from '../../../../lib/detector/checkpoint.ts';
import { Detector } from '../../../../lib/detector/detector.ts';
import { describeModel, filesOf } from '../../../../lib/detector/model-files.ts';
import { openWeights, weightsFormat } from '../../../../lib/weights/open-weights.ts';
import { temporaryFolder, writeFiles } from '../../../support/voc.ts';

afterEach(() => vi.restoreAllMocks());

/** Runs `dinov3-det export` in this process. */
async function runExport(...args: string[]) {
  const [out, error]: [string[], string[]] = [[], []];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => error.push(String(text)) > 0);
  vi.spyOn(console, 'log').mockImplementation((text) => void out.push(`${text}\n`));
  vi.spyOn(console, 'error').mockImplementation((text) => void error.push(`${text}\n`));
  const code = await runProgram(['export', ...args]);
  vi.restoreAllMocks();
  return { code, out: out.join(''), error: error.join('') };
}

/** A folder with a checkpoint of a run that has come to this epoch, and a data set file for its classes. */
async function trainedModel(epoch: number): Promise<{ folder: string; checkpoint: string }> {
  const folder = await temporaryFolder();
  const checkpoint = join(folder, 'best');
  const classes = ['__background__', 'cat'];
  const imageSize = { width: 64, height: 64 };
  await using detector = await Detector.create({ classes, preset: 'article', backbone: 'convnext_test', imageSize });
  const sums = { loss: 0, boxLoss: 0, classLoss: 0, steps: 0 };
  const options = {} as never; // of no use to a reader of the epoch
  const training = { epoch, step: 0, sums, bestScore: null, bestEpoch: null, options };
  await saveCheckpoint(checkpoint, { ...describeModel(detector), training }, filesOf(detector));
  await writeFiles(folder, { 'data.yaml': "VOC_ROOT: 'not there'\nCLASSES: ['__background__', 'cat']\n" });
  return { folder, checkpoint };
}

describe('export', () => {
  it('writes a .pth with the epoch of the checkpoint, and from that safetensors', async () => {
    const { folder, checkpoint } = await trainedModel(17);
    const pth = join(folder, 'model.pth');
    const first = await runExport('--checkpoint', checkpoint, '--format', 'pth', '--out', pth);
    const bytes = await readFile(pth);
    const size = bytes.length.toLocaleString('en-US');
    expect(first).toEqual({ code: 0, error: '', out: `Wrote ${pth}: 89 tensors, ${size} bytes\n` });
    expect(bytes.includes('X\x05\0\0\0epochK\x11')).toBe(true);

    const safetensors = join(folder, 'model.safetensors');
    const model = ['--weights', pth, '--config', join(folder, 'data.yaml'), '--backbone', 'convnext_test'];
    const second = await runExport(...model, '--imgsz', '64', '64', '--format', 'safetensors', '--out', safetensors);
    expect(second).toMatchObject({ code: 0, error: '' });
    expect(second.out).toContain('87 tensors');
    expect((await openWeights(safetensors)).source).toBe('dinov3-det');
  });

  it('writes the backbone alone', async () => {
    const { folder, checkpoint } = await trainedModel(0);
    const out = join(folder, 'backbone.safetensors');
    const args = ['--checkpoint', checkpoint, '--format', 'safetensors', '--part', 'backbone', '--out', out];
    expect(await runExport(...args)).toMatchObject({ code: 0, error: '' });
    expect((await openWeights(out)).source).toBe('facebookresearch/dinov3');
  });

  it('writes TorchScript, and what it writes of the backbone goes in again', async () => {
    const { folder, checkpoint } = await trainedModel(0);
    const [whole, part] = [join(folder, 'detector.pt'), join(folder, 'backbone.pt')];
    const args = ['--checkpoint', checkpoint, '--format', 'torchscript'];
    expect(await runExport(...args, '--out', whole)).toMatchObject({ code: 0, error: '' });
    expect(await runExport(...args, '--part', 'backbone', '--out', part)).toMatchObject({ code: 0, error: '' });
    expect(await weightsFormat(whole)).toBe('torchscript');
    const from = [
      '--config',
      join(folder, 'data.yaml'),
      '--format',
      'pth',
      '--out',
      join(folder, 'never.pth'),
      '--weights',
    ];
    expect((await runExport(...from, whole)).error).toContain('is a whole detector, as dinov3-det export writes it');
    expect((await runExport(...from, part)).error).toContain(`${part} cannot detect: it has no head`);
  });

  it('replaces a file only when asked', async () => {
    const { folder, checkpoint } = await trainedModel(0);
    const out = join(folder, 'mine.pth');
    await writeFile(out, 'mine');
    const args = ['--checkpoint', checkpoint, '--format', 'pth', '--out', out];
    const refused = await runExport(...args);
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.error).toContain(`--out: ${out} already exists. Name another file, or replace it with --force`);
    expect(await readFile(out, 'utf8')).toBe('mine');
    expect(await runExport(...args, '--force')).toMatchObject({ code: 0, error: '' });
    expect((await openWeights(out)).format).toBe('torch');
  });

  it('never writes into the checkpoint, nor over a directory', async () => {
    const { folder, checkpoint } = await trainedModel(0);
    await mkdir(join(folder, 'other'));
    const args = ['--checkpoint', checkpoint, '--format', 'safetensors', '--force', '--out'];
    const before = await readdir(checkpoint);
    const inside = await runExport(...args, join(checkpoint, 'model.safetensors'));
    expect(inside).toMatchObject({ code: 2, error: expect.stringContaining('is in the directory of the checkpoint') });
    expect(await readdir(checkpoint)).toEqual(before);
    await (await Detector.load(checkpoint))[Symbol.asyncDispose]();
    const directory = await runExport(...args, join(folder, 'other'));
    expect(directory).toMatchObject({ code: 2, error: expect.stringContaining('is a directory. Name a file') });
  });

  it('says why it cannot write', async () => {
    const { folder, checkpoint } = await trainedModel(0);
    const out = join(folder, 'data.yaml', 'model.pth');
    const { code, error } = await runExport('--checkpoint', checkpoint, '--format', 'pth', '--out', out);
    expect(error).toContain(`Error: Cannot write ${join(folder, 'data.yaml')}: `);
    expect(code).toBe(1);
  });

  it.each([
    [[], "required option '--out <file>' not specified", 2],
    [['--format', 'pth'], "required option '--out <file>' not specified", 2],
    [['--format', 'tflite'], 'Expected one of safetensors, pth, torchscript, onnx, transformersjs.', 2],
    [['--format', 'pth', '--part', 'head'], 'Expected one of model, backbone.', 2],
    [['--format', 'pth', '--out', 'never.pth'], 'Give --checkpoint, or --weights with --config', 2],
    [['--format', 'pth', '--out', 'never.pth', '--checkpoint', 'none'], 'No checkpoint in none', 1],
  ])('%j is refused', async (args, message, expected) => {
    const { code, out, error } = await runExport(...args);
    expect(error).toContain(message);
    expect([code, out]).toEqual([expected, '']);
  });
});
