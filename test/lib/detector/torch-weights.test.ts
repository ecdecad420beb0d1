import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import { readTorchFile } from '../../../lib/weights/torch/pth.ts';
import { noise } from '../../support/voc.ts';

/** A Python with torch: where there is one, files of full size are made by torch itself. */
const python = process.env.DINOV3_DET_TORCH_PYTHON;

describe.skipIf(!python)('convnext_tiny as torch saves it (DINOV3_DET_TORCH_PYTHON)', () => {
  let folder: string;
  let digests: Record<string, Record<string, string>>;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'dinov3-det-test-'));
    execFileSync(python!, [join(import.meta.dirname, '../../reference/make_weights.py'), folder], { stdio: 'inherit' });
    digests = JSON.parse(readFileSync(join(folder, 'digests.json'), 'utf8'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const files = [
    ['dinov3_convnext_tiny_pretrain.pth', 'facebookresearch/dinov3', 180, 0],
    ['convnext_tiny_1k.pth', 'facebookresearch/ConvNeXt', 180, 2],
    ['half.pth', 'facebookresearch/dinov3', 180, 0],
    ['best_model.pth', "the article's torchvision SSD", 204, 0],
  ] as const;

  it.each(files)('%s: every tensor bit for bit', async (name) => {
    const { tensors } = await readTorchFile(join(folder, name));
    const file = await open(join(folder, name));
    const found: Record<string, string> = {};
    for (const { name: key, offset, byteLength } of tensors) {
      const { buffer } = await file.read(Buffer.alloc(byteLength), 0, byteLength, offset);
      found[key] = createHash('sha256').update(buffer).digest('hex');
    }
    await file.close();
    expect(found).toEqual(digests[name]);
  });

  it.each(files)('%s fills a detector, which detects at once', async (name, source, loaded, unexpected) => {
    const classes = ['__background__', 'a', 'b'];
    const imageSize = { width: 64, height: 64 };
    await using detector = await Detector.create({
      classes,
      preset: 'article',
      imageSize,
      weights: join(folder, name),
    });
    const { weightReport } = detector;
    expect(weightReport).toMatchObject({ source, loaded, missing: [], wrongShape: [] });
    expect(weightReport!.unexpected).toHaveLength(unexpected);
    const found = await detector.detect(await noise(64, 64).png().toBuffer(), { scoreThreshold: 0 });
    expect(found.length).toBeGreaterThan(0);
  });
});
