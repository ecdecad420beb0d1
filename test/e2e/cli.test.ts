import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeDrawnScenes } from '../../lib/cli/demo/drawn-scenes.ts';
import { Detector } from '../../lib/detector/detector.ts';
import { decodeImage } from '../../lib/images/image.ts';
import { cli, type Run } from '../support/cli.ts';

let folder: string;
let config: string;
let run: string;
let training: Run;

const small = ['--backbone', 'convnext_test', '--imgsz', '64', '64', '--fine-tune', '--batch', '4', '--lr', '0.001'];
const train = (outDir: string, ...args: string[]) => cli(['train', '--config', config, '--out-dir', outDir, ...args]);
const lines = (text: string) => text.trim().split('\n');
const events = (text: string) => lines(text).map((line) => JSON.parse(line));

/** Everything here looks at one run of two epochs. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  config = await writeDrawnScenes(join(folder, 'scenes'), { train: 10, valid: 4, test: 3, seed: 1 });
  run = join(folder, 'run');
  training = await train(run, ...small, '--epochs', '2', '--scheduler-epochs', '1');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('train', () => {
  it('prints what the article prints', () => {
    expect(training.code, training.error).toBe(0);
    const { out, error } = training;
    expect(out).toMatch(/^Total params: [\d,]+\nTrainable params: [\d,]+\nNon-trainable params: 0\n/);
    expect(out).toMatch(/Training images: 10 with \d+ objects\nValidation images: 4 with \d+ objects/);
    for (const epoch of [1, 2]) {
      expect(out).toContain(`EPOCH ${epoch} of 2\nTraining\nValidating\n`);
      expect(out).toMatch(new RegExp(`Epoch #${epoch} train loss: \\d+\\.\\d{3}\n`));
      expect(out).toMatch(
        new RegExp(`Epoch #${epoch} mAP@0\\.50:0\\.95: 0\\.\\d{4}\nEpoch #${epoch} mAP@0\\.50: 0\\.\\d{4}\n`),
      );
      expect(out).toMatch(new RegExp(`Took \\d+\\.\\d{3} minutes for epoch ${epoch - 1}\n`));
    }
    expect(out).toMatch(
      /BEST VALIDATION mAP: 0\.\d{4}\n\nSAVING BEST MODEL FOR EPOCH: 1\n\nSAVING PLOTS COMPLETE\.\.\.\n/,
    );
    expect(out.match(/LR for next epoch: .*/g)).toEqual(['LR for next epoch: [0.0001]', 'LR for next epoch: [0.0001]']);
    expect(error).toMatch(/Training: 100% 3\/3 step Loss: \d+\.\d{4}\n/);
  });

  it('leaves checkpoints, metrics, plots and the configuration', async () => {
    expect((await readdir(run)).sort()).toEqual(
      [
        'best',
        'config.json',
        'last',
        'map.png',
        'metrics.jsonl',
        'previous',
        'results.csv',
        'settings.yaml',
        'train_loss.png',
      ].sort(),
    );
    expect(lines(await readFile(join(run, 'results.csv'), 'utf8'))).toHaveLength(3);
    const records = events(await readFile(join(run, 'metrics.jsonl'), 'utf8'));
    expect(records.map(({ type }) => type).join(' ')).toBe('step step step epoch step step step epoch');
    for (const plot of ['map.png', 'train_loss.png']) {
      expect((await decodeImage(join(run, plot))).width).toBeGreaterThan(300);
    }
  });

  it('comes to the same with --overlap-evaluation', async () => {
    const outDir = join(folder, 'overlapped');
    const given = [...small, '--epochs', '2', '--scheduler-epochs', '1', '--overlap-evaluation'];
    const { code, out, error } = await train(outDir, ...given);
    expect(code, error).toBe(0);
    expect(out.indexOf('Epoch #1 train loss')).toBeGreaterThan(out.indexOf('EPOCH 2 of 2'));
    const files = async (dir: string) =>
      JSON.parse(await readFile(join(dir, 'last', 'checkpoint.json'), 'utf8')).files as object;
    expect(await files(outDir)).toEqual(await files(run));
  });

  it('is the same again with --settings, without another option', async () => {
    const outDir = join(folder, 'again');
    const { code, error } = await train(outDir, '--settings', join(run, 'settings.yaml'));
    expect(code, error).toBe(0);
    const files = async (dir: string) =>
      JSON.parse(await readFile(join(dir, 'last', 'checkpoint.json'), 'utf8')).files as object;
    expect(await files(outDir)).toEqual(await files(run));
  });

  it('will not run over it, and goes on with it when asked', async () => {
    const again = await train(run, ...small);
    expect(again).toMatchObject({ code: 2, out: '', error: expect.stringContaining('already holds a run') });

    const other = await train(run, '--resume', '--imgsz', '96', '96');
    expect(other).toMatchObject({
      code: 2,
      error: expect.stringContaining('--imgsz 96 96: the run to resume has 64 64'),
    });

    // Options that are not given are those of the run.
    const { code, out, error } = await train(run, '--resume', '--epochs', '3', '--json');
    expect(code, error).toBe(0);
    const found = events(out);
    expect(found.map(({ event }) => event)).toEqual(['start', 'step', 'step', 'step', 'epoch', 'result']);
    expect(found[0]).toMatchObject({ event: 'start', outDir: run, train: { images: 10, issues: [] } });
    expect(found[1]).toMatchObject({ epoch: 3, epochs: 3, step: 1, steps: 3, learningRate: expect.closeTo(1e-4, 12) });
    expect(found[4]).toMatchObject({ epoch: 3, evaluation: { images: 4 } });
    expect(found[5]).toMatchObject({ epochs: 3, outDir: run });
    expect(lines(await readFile(join(run, 'results.csv'), 'utf8'))).toHaveLength(4);
  });

  it('keeps how it steps the weights for the run that goes on', async () => {
    const outDir = join(folder, 'recipe');
    const recipe =
      '--schedule cosine --warmup 1 --ema 0.9 --drop-path 0.2 --accumulate 2 --layer-decay 0.9 --patience 9';
    const { code, error } = await train(outDir, ...small, ...recipe.split(' '), '--epochs', '1');
    expect(code, error).toBe(0);
    const { training } = JSON.parse(await readFile(join(outDir, 'config.json'), 'utf8'));
    const kept = { schedule: 'cosine', warmupSteps: 1, ema: 0.9, dropPath: 0.2, accumulate: 2, layerDecay: 0.9 };
    expect(training).toMatchObject({ ...kept, patience: 9, milestones: [] });
    const resumed = await train(outDir, '--resume', '--epochs', '2', '--json');
    expect(resumed.code, resumed.error).toBe(0);
    expect(events(resumed.out).map(({ event }) => event)).toEqual(['start', 'step', 'step', 'epoch', 'result']);

    expect(resumed.error).toContain('Warning: epochs was 1 and is now 2. This changes the learning rate');
    expect(resumed.error).not.toContain('Warning: patience');

    const wrong = await train(join(folder, 'wrong'), ...small, '--epochs', '1', '--warmup', '3');
    expect(wrong).toMatchObject({
      code: 1,
      error: expect.stringContaining('warmupSteps (3) leave nothing of the run'),
    });
    expect(existsSync(join(folder, 'wrong', 'metrics.jsonl'))).toBe(false);
  });

  it('goes on in the precision and with the threads of the run, whatever config.json says, and in no other precision', async () => {
    const outDir = join(folder, 'computed');
    const first = await train(outDir, ...small, '--epochs', '1', '--precision', 'bf16', '--threads', '1');
    expect(first.code, first.error).toBe(0);
    await writeFile(join(outDir, 'config.json'), 'is for people');
    const other = await train(outDir, '--resume', '--epochs', '2', '--precision', 'fp32');
    expect(other.code).toBe(1);
    expect(other.error).toContain('its run computes in bf16, and the detector in fp32');
    const resumed = await train(outDir, '--resume', '--epochs', '2');
    expect(resumed.code, resumed.error).toBe(0);
    expect(resumed.error.match(/Warning: .*/g)).toEqual(['Warning: epochs was 1 and is now 2']);
    const { training } = JSON.parse(await readFile(join(outDir, 'last', 'checkpoint.json'), 'utf8'));
    expect(training).toMatchObject({ epoch: 2, compute: { device: 'cpu', precision: 'bf16', threads: 1 } });
  });

  it('has the head of RetinaNet from training to detection, and goes on with no other', async () => {
    const outDir = join(folder, 'retinanet');
    const head = ['--head', 'retinanet', '--box-loss', 'giou', '--nms', 'diou'];
    const { code, out, error } = await train(outDir, ...small, ...head, '--epochs', '1', '--precision', 'bf16');
    expect(code, error).toBe(0);
    expect(out).toContain('Epoch #1 mAP@0.50');
    const { model, training } = JSON.parse(await readFile(join(outDir, 'config.json'), 'utf8'));
    expect(model).toMatchObject({ head: 'retinanet', fusion: 'fpn' });
    expect(training).toMatchObject({ loss: { box: 'giou' } });
    const other = await train(outDir, '--resume', '--head', 'ssd');
    expect(other.code).toBe(2);
    expect(other.error).toContain('--head ssd: the run to resume has the head retinanet');

    const scores = await cli(['evaluate', '--checkpoint', join(outDir, 'last'), '--config', config, '--json']);
    expect(scores.code, scores.error).toBe(0);
    const file = join(folder, 'retinanet.safetensors');
    const from = ['--checkpoint', join(outDir, 'last'), '--format', 'safetensors'];
    const exported = await cli(['export', ...from, '--out', file]);
    expect(exported.code, exported.error).toBe(0);
    const again = await cli(['evaluate', '--weights', file, '--config', config, '--json']);
    expect(again.code, again.error).toBe(0);
    const timeless = (text: string) => ({ ...JSON.parse(text), seconds: 0 });
    expect(timeless(again.out)).toEqual(timeless(scores.out));
  });

  it('saves "last" and ends with 130 at Ctrl-C, and can go on', async () => {
    const outDir = join(folder, 'interrupted');
    const { code, out, error } = await cli(
      ['train', '--config', config, '--out-dir', outDir, ...small, '--epochs', '1000', '--json'],
      {
        onStart: (child) => {
          const onData = (text: Buffer) => {
            if (!String(text).includes('"event":"step"')) return;
            child.stdout!.off('data', onData);
            child.kill('SIGINT');
          };
          child.stdout!.on('data', onData);
        },
      },
    );
    expect(code, error).toBe(130);
    expect(error).toContain(`Interrupted: saved ${join(outDir, 'last')}; go on with --resume --out-dir ${outDir}`);
    const steps = events(out).filter(({ event }) => event === 'step');
    const detector = await Detector.load(join(outDir, 'last'));
    expect(detector.classes).toContain('star');
    detector.dispose();

    const resumed = await train(outDir, '--resume', '--epochs', String(steps.at(-1).epoch), '--json');
    expect(resumed.code, resumed.error).toBe(0);
    const next = events(resumed.out).find(({ event }) => event === 'step');
    // The step after the last one: nothing is done twice.
    if (next) expect(3 * next.epoch + next.step).toBe(3 * steps.at(-1).epoch + steps.at(-1).step + 1);
    expect(lines(await readFile(join(outDir, 'results.csv'), 'utf8'))).toHaveLength(1 + steps.at(-1).epoch);
  });

  it('shows transformed images when the data set file asks for it', async () => {
    const asking = join(folder, 'asking.yaml');
    await writeFile(asking, `${await readFile(config, 'utf8')}VISUALIZE_TRANSFORMED_IMAGES: true\n`);
    const outDir = join(folder, 'shown');
    const { code, error } = await cli(['train', '--config', asking, '--out-dir', outDir, ...small, '--epochs', '1']);
    expect(code, error).toBe(0);
    expect(await decodeImage(join(outDir, 'transformed_images.png'))).toMatchObject({ width: 1280, height: 320 });
  });

  it('says that the output directory cannot be written', async () => {
    const file = join(folder, 'a-file');
    await writeFile(file, 'mine');
    const { code, error } = await train(file, ...small, '--epochs', '1');
    expect(code).toBe(1);
    expect(error).toMatch(/Error: Cannot write .*a-file/);
    expect(await readFile(file, 'utf8')).toBe('mine');
  });
});

describe('preview', () => {
  const preview = (...args: string[]) => cli(['preview', '--config', config, '--imgsz', '64', '64', ...args]);

  it('writes a sheet of augmented images, once', async () => {
    const output = join(folder, 'sheet.png');
    const { code, out, error } = await preview('--output', output, '--count', '6', '--epoch', '2');
    expect(code, error).toBe(0);
    expect(out).toBe(`Wrote ${output}\n`);
    expect(await decodeImage(output)).toMatchObject({ width: 1280, height: 640 });

    const before = await readFile(output);
    const again = await preview('--output', output);
    expect(again.code).toBe(2);
    expect(again.error).toContain(`--output: ${output} already exists`);
    expect(await readFile(output)).toEqual(before);
    const plain = await preview(
      '--output',
      output,
      '--force',
      '--augmentation',
      'none',
      '--count',
      '6',
      '--epoch',
      '2',
    );
    expect(plain.code, plain.error).toBe(0);
    expect(await readFile(output)).not.toEqual(before);
  });

  it('and train take the transforms of a file, and refuse wrong ones before they read an image', async () => {
    const file = join(folder, 'augmentation.yaml');
    await writeFile(file, 'augmentation: { zoomOut: { p: 1, sideRange: [2, 3] }, mosaic: {} }');
    const output = join(folder, 'mosaics.png');
    expect(await preview('--augmentation', file, '--output', output)).toMatchObject({ code: 0 });
    const outDir = join(folder, 'augmented');
    const trained = await train(outDir, ...small, '--epochs', '1', '--augmentation', file);
    expect(trained.code, trained.error).toBe(0);
    const { training } = JSON.parse(await readFile(join(outDir, 'config.json'), 'utf8'));
    expect(training.augmentation).toMatchObject({ zoomOut: { p: 1, sideRange: [2, 3] }, mosaic: { p: 0.5 } });
    const resumed = await train(outDir, '--resume', '--epochs', '2');
    expect(resumed.code, resumed.error).toBe(0);

    await writeFile(file, 'augmentation: { zoomOut: { sideRange: [3, 2] } }');
    for (const wrong of [
      await preview('--augmentation', file, '--output', join(folder, 'never.png')),
      await train(join(folder, 'never'), ...small, '--augmentation', file),
    ]) {
      expect(wrong.code).toBe(1);
      expect(wrong.error).toContain(`--augmentation "${file}": Expected a pair [from, to] of increasing numbers`);
      expect(wrong.error).toContain('augmentation.zoomOut.sideRange but received "[3,2]"');
      expect(wrong.error).not.toContain('Reading');
    }
    expect(existsSync(join(folder, 'never')) || existsSync(join(folder, 'never.png'))).toBe(false);
  });

  it.each([
    [['--count', '101'], "argument '101' is invalid. Expected an integer from 1 to 100."],
    [['--epoch', '21'], '--epoch 21: the run has 20 epochs'],
    [['--imgsz', '100', '64'], 'multiple of 32 for imgsz.width'],
  ])('refuses %j', async (args, message) => {
    const { code, error } = await cli(['preview', '--config', config, '--output', join(folder, 'no.png'), ...args]);
    expect(code).toBe(2);
    expect(error).toContain(message);
  });
});

describe('evaluate', () => {
  it('prints the numbers of a split', async () => {
    const { code, out, error } = await cli([
      'evaluate',
      '--checkpoint',
      join(run, 'best'),
      '--config',
      config,
      '--split',
      'test',
    ]);
    expect(code, error).toBe(0);
    expect(out.match(/Average (Precision|Recall) .* = -?\d\.\d{3}/g)).toHaveLength(12);
    expect(out).toContain('VOC mAP@0.50:');
    expect(out).toContain('3 images in');
  });

  it('prints one JSON document', async () => {
    const { code, out, error } = await cli([
      'evaluate',
      '--checkpoint',
      join(run, 'last'),
      '--config',
      config,
      '--json',
    ]);
    expect(code, error).toBe(0);
    const result = JSON.parse(out);
    expect(result.coco.stats).toHaveLength(12);
    expect(result).toMatchObject({ images: 4, torchmetrics: { map: expect.any(Number) } });
  });

  it('names a checkpoint that is damaged, and measures the one beside it', async () => {
    const broken = join(folder, 'broken');
    await train(broken, ...small, '--epochs', '1');
    const weights = join(broken, 'best', 'model.safetensors');
    const bytes = await readFile(weights);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(weights, bytes);
    const { code, error } = await cli(['evaluate', '--checkpoint', join(broken, 'best'), '--config', config]);
    expect(code).toBe(0);
    expect(error).toContain(`${weights} has the SHA-256`);
    expect(error).toContain(join(broken, 'last'));
  });
});

describe('detect', () => {
  it('draws boxes, lists them, skips what it cannot read, and loses no image', async () => {
    const input = join(folder, 'images');
    const images = join(folder, 'scenes', 'JPEGImages');
    await writeDrawnScenes(input, { train: 0, valid: 0, test: 0 });
    await rm(join(input, 'scenes.yaml'));
    await copyFile(join(images, '000001.jpg'), join(input, 'a.jpg'));
    await copyFile(join(images, '000002.jpg'), join(input, 'JPEGImages', 'A.jpg'));
    await writeFile(join(input, 'text.jpg'), 'this is text');
    const outDir = join(folder, 'detected');
    const args = ['detect', '--checkpoint', join(run, 'best'), '--threshold', '0', '--max-detections', '3'];
    const { code, out, error } = await cli([
      ...args,
      '--recursive',
      '--out-dir',
      outDir,
      input,
      join(input, 'none.png'),
    ]);
    expect(code, error).toBe(0);
    expect(error).toContain(`Skipped ${join(input, 'none.png')}: it does not exist`);
    expect(error).toMatch(/Skipped .*text\.jpg: Cannot read image/);
    expect(out).toMatch(/a\.jpg: .*\d+ ms\) -> .*a-2\.jpg\n/);
    expect(out).toMatch(/Average FPS: \d+\.\d\n/);
    expect((await readdir(outDir)).sort()).toEqual(['A.jpg', 'a-2.jpg', 'detections.json']);
    const found = JSON.parse(await readFile(join(outDir, 'detections.json'), 'utf8'));
    expect(found).toHaveLength(2);
    for (const { file, annotated, width, height, detections } of found) {
      expect(existsSync(file)).toBe(true);
      expect(await decodeImage(join(outDir, annotated))).toMatchObject({ width, height });
      expect({ width, height }).toEqual({ width: 160, height: 128 });
      expect(detections).toHaveLength(3);
      expect(Object.keys(detections[0])).toEqual(['label', 'score', 'box']);
    }
  });

  it('prints the list as JSON, and never draws over the images that it reads', async () => {
    const here = join(folder, 'here');
    await writeDrawnScenes(here, { train: 1, valid: 0, test: 0 });
    const images = join(here, 'JPEGImages');
    await writeFile(join(images, 'detections.json'), '[]'); // as if it were the place of earlier results
    const original = await readFile(join(images, '000001.jpg'));
    const { code, out, error } = await cli([
      'detect',
      '--checkpoint',
      join(run, 'best'),
      '--json',
      '--out-dir',
      images,
      images,
    ]);
    expect(code, error).toBe(0);
    expect(JSON.parse(out)).toMatchObject([{ annotated: '000001-2.jpg' }]);
    expect(await readFile(join(images, '000001.jpg'))).toEqual(original);
  });

  it('takes a weights file with a head in it for a checkpoint', async () => {
    const image = join(folder, 'scenes', 'JPEGImages', '000001.jpg');
    const detections = async (name: string, ...args: string[]) => {
      const outDir = join(folder, name);
      const { code, out, error } = await cli(['detect', image, '--json', '--out-dir', outDir, ...args]);
      expect(code, error).toBe(0);
      return JSON.parse(out);
    };
    const weights = ['--weights', join(run, 'best', 'model.safetensors'), '--backbone', 'convnext_test'];
    expect(await detections('by-weights', ...weights, '--config', config, '--imgsz', '64', '64')).toEqual(
      await detections('by-checkpoint', '--checkpoint', join(run, 'best')),
    );

    const other = join(folder, 'other.yaml');
    await writeFile(
      other,
      (await readFile(config, 'utf8')).replace(/CLASSES:[\s\S]*?\]/, "CLASSES: ['__background__', 'cat']"),
    );
    const { code, error } = await cli(['detect', image, ...weights, '--config', other, '--imgsz', '64', '64']);
    expect(code).toBe(1);
    expect(error).toContain('its head is for other classes than the 1 of');
  });

  it('fails when nothing could be read', async () => {
    const outDir = join(folder, 'nothing');
    const text = join(folder, 'nothing.jpg');
    await writeFile(text, '');
    const { code, error } = await cli(['detect', '--checkpoint', join(run, 'best'), '--out-dir', outDir, text]);
    expect(code).toBe(1);
    expect(error).toContain('it is empty (0 bytes)');
    expect(error).toContain('Error: None of the images could be read');
  });
});

describe('summary', () => {
  it("prints the article's numbers, without the article's images", async () => {
    const args = ['--config', 'configs/voc.yaml', '--preset', 'article', '--imgsz', '640', '640'];
    const { code, out, error } = await cli(['summary', ...args]);
    expect(code, error).toBe(0);
    expect(out).toContain('Total params: 33,004,878\nTrainable params: 5,184,750\nNon-trainable params: 27,820,128\n');
    expect(out).toMatch(/default boxes +\[1, 3, 640, 640\] +\[1600, 4\]/);
    expect(out).toMatch(/regression_head +\[1, 768, 20, 20\] +\[1, 1600, 4\] +829,560/);
  });
});
