import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Detector } from '../../lib/detector/detector.ts';
import { Trainer } from '../../lib/training/trainer.ts';
import { openSquares, squareClasses } from '../support/squares.ts';
import { temporaryFolder } from '../support/voc.ts';

/** A Python that has torch and numpy, and a local copy of the DINOv3 repository: without both, this is skipped. */
const { DINOV3_DET_TORCH_PYTHON: python, DINOV3_DET_DINOV3_REPO: repo } = process.env;
const script = fileURLToPath(new URL('../../scripts/export_backbone.py', import.meta.url));
const run = promisify(execFile);
const runScript = (...args: string[]) => run(python!, [script, '--repo', repo!, ...args]);

describe.skipIf(!python || !repo)('scripts/export_backbone.py', () => {
  it.each([
    ['dinov3_convnext_tiny', 1, '768 x 2 x 3 at 96 x 64', [16, 24]],
    ['dinov3_convnext_tiny', 3, '192 x 8 x 12 at 96 x 64', [64 * 4 + 16 * 6 + 4 * 6, 96 * 4 + 24 * 6 + 6 * 6]],
    ['dinov3_vits16', 1, '384 x 4 x 6 at 96 x 64', [64, 96]],
  ] as const)(
    '%s with %i maps gives a backbone that is let in, and takes other sizes',
    async (model, maps, map, boxes) => {
      const out = join(await temporaryFolder(), 'backbone.pt');
      const args = ['--model', model, '--out', out, '--size', '96', '64', '--maps', String(maps)];
      const { stdout } = await runScript(...args);
      expect(Number(/difference to the eager model: (\S+)/.exec(stdout)?.[1])).toBeLessThanOrEqual(1e-4);
      expect(stdout).toContain('batch and image size: dynamic');
      expect(stdout).toContain(`map 0: ${map}`);
      for (const [index, width] of [64, 96].entries()) {
        await using detector = await Detector.create({
          preset: 'article',
          classes: ['__background__', 'thing'],
          backbone: { torchscript: out },
          imageSize: { width, height: 64 },
        });
        expect((await detector.summary()).defaultBoxes).toBe(boxes[index]);
        const image = { data: Buffer.alloc(64 * 64 * 3, 100), width: 64, height: 64 };
        const [first, second] = await detector.detect([image, image], { scoreThreshold: 0 });
        expect(first!.length).toBeGreaterThan(0);
        expect(second).toEqual(first);
      }
    },
  );

  it('exports given weights, of which the backbone can be trained further', async () => {
    const folder = await temporaryFolder();
    const [weights, out] = [join(folder, 'weights.pth'), join(folder, 'backbone.pt')];
    const save =
      'import sys, torch; sys.path.insert(0, sys.argv[1]); from dinov3.hub.backbones import dinov3_vits16 as model; ' +
      'torch.save(model(pretrained=False).state_dict(), sys.argv[2])';
    await run(python!, ['-c', save, repo!, weights]);
    await runScript('--model', 'dinov3_vits16', '--weights', weights, '--out', out, '--size', '64', '64');
    const dataset = await openSquares(folder, 2);
    const imageSize = { width: 64, height: 64 };
    await using detector = await Detector.create({ classes: squareClasses, backbone: { torchscript: out }, imageSize });
    const { trainableParameters, totalParameters } = await detector.summary({ fineTune: true });
    expect(trainableParameters).toBe(totalParameters);
    const options = { train: dataset, valid: dataset, outDir: join(folder, 'run'), epochs: 1, batchSize: 2 };
    expect(await new Trainer(detector, { ...options, fineTune: true }).run()).toMatchObject({ epochs: 1 });
  });

  it.each([
    ['a size between patches', ['--model', 'dinov3_vits16', '--size', '100', '64'], 'multiples of 16'],
    ['an unknown model', ['--model', 'dinov3_resnet'], 'dinov3_vits16'],
    ['too many maps', ['--model', 'dinov3_convnext_tiny', '--maps', '5'], '1 to 4'],
    ['weights that are none', ['--model', 'dinov3_vits16', '--weights', script], 'not a .pth of weights alone'],
    ['another folder', ['--model', 'dinov3_vits16', '--repo', '.'], 'No DINOv3 repository'],
  ])('refuses %s and writes nothing', async (_, args, message) => {
    const out = join(await temporaryFolder(), 'backbone.pt');
    await expect(runScript('--out', out, ...args)).rejects.toThrow(message);
    expect(existsSync(out)).toBe(false);
  });
});
