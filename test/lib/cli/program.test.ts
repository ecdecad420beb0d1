import { existsSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { version } from '../../../lib/base/version.ts';
import { createProgram, runProgram } from '../../../lib/cli/program.ts';
import { commandLines, parse } from '../../support/command-lines.ts';
import { temporaryFolder, writeFiles } from '../../support/voc.ts';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

/** Runs a command line in this process. */
async function run(...args: string[]) {
  const [out, error]: [string[], string[]] = [[], []];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0);
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => error.push(String(text)) > 0);
  vi.spyOn(console, 'log').mockImplementation((text) => void out.push(`${text}\n`));
  vi.spyOn(console, 'error').mockImplementation((text) => void error.push(`${text}\n`));
  const code = await runProgram(args);
  vi.restoreAllMocks();
  return { code, out: out.join(''), error: error.join('') };
}

const yaml = ["VOC_ROOT: 'not there'", "CLASSES: ['__background__', 'cat']"].join('\n');

async function configFile(): Promise<string> {
  const folder = await temporaryFolder();
  await writeFiles(folder, { 'data.yaml': yaml });
  return join(folder, 'data.yaml');
}

describe('help', () => {
  it.each(createProgram().commands.map((command) => command.name()))('of %s has examples', async (name) => {
    const { code, out, error } = await run(name, '--help');
    expect(code).toBe(0);
    expect(out).toContain(`Usage: dinov3-det ${name}`);
    expect(out).toMatch(new RegExp(`Examples:\n  dinov3-det ${name} `));
    expect(error).toBe('');
  });

  it('has examples that its own options take', async () => {
    const names = createProgram().commands.map((command) => command.name());
    const examples: string[][] = [];
    for (const name of ['', ...names]) {
      const { out } = await run(...(name === '' ? [] : [name]), '--help');
      examples.push(...commandLines(out, /^ {2}dinov3-det /));
    }
    expect(examples.length).toBeGreaterThan(25);
    for (const example of examples) await parse(example);
  });

  it('a wrong example is seen', async () => {
    await expect(parse(['detect', '--checkpont', 'best', 'photo.jpg'])).rejects.toThrow("unknown option '--checkpont'");
  });

  it('lists the commands', async () => {
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    for (const name of [
      'train',
      'evaluate',
      'detect',
      'video',
      'export',
      'analyze',
      'summary',
      'doctor',
      'install',
      'build',
      'bundle',
    ])
      expect(out).toContain(`  ${name} `);
    expect(out).toContain('Examples:');
  });

  it("of train has every option of the article's program", async () => {
    const { out } = await run('train', '--help');
    const article =
      '--weights --model-name --imgsz --lr --fine-tune --epochs --scheduler-epochs --workers --batch --config';
    for (const option of `${article} --optimizer --out-dir --head --weight`.split(' ')) expect(out).toContain(option);
    for (const option of ['--preset', '--backbone', '--device', '--resume', '--seed', '--json'])
      expect(out).toContain(option);
  });

  it('shows the version', async () => {
    expect(await run('--version')).toEqual({ code: 0, out: `${version}\n`, error: '' });
  });
});

describe('a wrong command line ends with 2 and one clear message', () => {
  it.each([
    [['--epochs', '0'], "option '--epochs <n>' argument '0' is invalid. Expected an integer >= 1."],
    [['--epochs', '2.5'], 'Expected an integer >= 1.'],
    [['--batch', '-1'], "option '--batch <n>' argument '-1' is invalid. Expected an integer from 1 to 1024."],
    [['--workers', '0'], "option '--workers <n>' argument '0' is invalid"],
    [['--lr', 'NaN'], "option '--lr <number>' argument 'NaN' is invalid. Expected a number > 0."],
    [['--lr', '0'], 'Expected a number > 0.'],
    [['--seed', '-1'], 'Expected an integer >= 0.'],
    [['--scheduler-epochs', '10', '0'], "argument '0' is invalid"],
    [['--schedule', 'linear'], 'Expected one of multistep, cosine, flat-cosine.'],
    [
      ['--warmup', '-1'],
      "option '--warmup <steps>' argument '-1' is invalid. Expected an integer from 0 to 1000000000.",
    ],
    [['--weight-decay', '-0.1'], 'Expected a number from 0 to 1000000.'],
    [['--backbone-lr-factor', '-1'], 'Expected a number from 0 to 1000000.'],
    [['--layer-decay', '1.1'], 'Expected a number from 0 to 1.'],
    [['--accumulate', '0'], 'Expected an integer from 1 to 1024.'],
    [['--clip-grad-norm', '0'], 'Expected a number > 0.'],
    [['--ema', '2'], "option '--ema <decay>' argument '2' is invalid. Expected a number from 0 to below 1."],
    [['--drop-path', 'a'], 'Expected a number from 0 to 0.99.'],
    [['--patience', '0'], 'Expected an integer >= 1.'],
    [['--preset', 'default'], 'Expected one of article, ssd, dense.'],
    [['--preset', 'sdd'], 'Expected one of article, ssd, dense; did you mean "ssd"?'],
    [['--head', 'yolo'], 'Expected one of ssd, retinanet, dense.'],
    [['--classification-loss', 'softmax'], 'Expected one of hard-negative, focal, quality.'],
    [['--box-loss', 'iou'], 'Expected one of smooth-l1, l1, giou, diou, ciou; did you mean "giou"?'],
    [['--assigner', 'nearest'], 'Expected one of ssd, retinanet, atss, soft.'],
    [['--nms', 'soft'], 'Expected one of plain, diou, weighted.'],
    [['--optimizer', 'adam'], 'Expected one of adamw, sgd; did you mean "adamw"?'],
    [['--device', 'gpu'], 'Expected cpu, cuda or cuda:N.'],
    [['--model-name', 'dinov3_vits16'], 'Expected one of dinov3_convnext_tiny'],
    [['--model-name', 'dinov3_convnext_tiny', '--backbone', 'convnext_tiny'], 'cannot be used with option'],
    [['--backbone', 'convnext_tinny'], 'did you mean "convnext_tiny"?'],
    [['--imgsz', '640'], '--imgsz: expected width and height'],
    [['--imgsz', '640', '640', '3'], '--imgsz: expected width and height'],
    [['--imgsz', '640', '650'], 'Expected multiple of 32 for imgsz.height but received 650'],
    [['--imgsz', '32', '64'], 'Expected integer from 64 to 4096 for imgsz.width but received 32'],
    [['--imgsz', 'big', '64'], "option '--imgsz <size...>' argument 'big' is invalid"],
    [['--epoch', '3'], '(Did you mean --epochs?)'],
    [['more'], 'too many arguments'],
    [['--out-dir'], "option '--out-dir <dir>' argument missing"],
  ])('train %j', async (args, message) => {
    const { code, out, error } = await run('train', '--config', await configFile(), ...args);
    expect(error).toContain(message);
    expect(error).not.toMatch(/\n\s+at /);
    expect(out).toBe('');
    expect(code).toBe(2);
  });

  it.each([
    [['train'], 'Give the data set with --data PATH'],
    [['evaluate', '--config', 'a.yaml'], 'Give --checkpoint, or --weights with --config'],
    [['detect', 'a.jpg'], 'Give --checkpoint, or --weights with --config'],
    [['detect', 'a.jpg', '--weights', 'a.pth'], 'Give --config too'],
    [['detect', 'a.jpg', '--checkpoint', 'a', '--weights', 'a.pth'], 'cannot be used with option'],
    [['evaluate', '--config', 'a.yaml', '--checkpoint', 'a', '--imgsz', '64', '64'], 'cannot be used with option'],
    [['evaluate', '--config', 'a.yaml', '--checkpoint', 'a', '--head', 'retinanet'], 'cannot be used with option'],
    [['detect', 'a.jpg', '--checkpoint', 'a', '--nms', 'diou'], 'cannot be used with option'],
    [
      ['evaluate', '--config', 'a.yaml', '--checkpoint', 'a', '--split', 'val'],
      'Allowed choices are train, valid, test.',
    ],
    [['evaluate', '--config', 'a.yaml', '--checkpoint', 'a', '--batch', '0'], 'Expected an integer from 1 to 1024.'],
    [['detect', '--checkpoint', 'a'], "missing required argument 'inputs'"],
    [['detect', '--checkpoint', 'a', 'a.jpg', '--threshold', '1.5'], 'Expected a number from 0 to 1.'],
    [['detect', '--checkpoint', 'a', 'a.jpg', '--max-detections', '0'], 'Expected an integer from 1 to 1000000.'],
    [['trian'], '(Did you mean train?)'],
    [[], 'Usage: dinov3-det'],
  ])('%j', async (args, message) => {
    const { code, out, error } = await run(...args);
    expect(error).toContain(message);
    expect(out).toBe('');
    expect(code).toBe(2);
  });

  it.each([
    [['--head', 'retinanet', '--fusion', 'none'], 'Leave it out, or set head to ssd'],
    [['--head', 'retinanet', '--classification-loss', 'hard-negative'], 'whose scores are sigmoids'],
    [['--classification-loss', 'focal', '--background-negatives'], 'false with the classification loss focal'],
    [['--preset', 'article', '--fusion', 'fpn'], 'a single map has none to be fused with. Set features to pyramid'],
    [['--scheduler-epochs', '6', '--epochs', '5'], 'milestones past the end: 6 of 5 epochs; leave them out'],
    [['--schedule', 'cosine', '--scheduler-epochs', '5'], 'leave one of them out'],
    [['--no-fine-tune', '--drop-path', '0.1'], 'frozen; add fineTune (--fine-tune) or leave dropPath out'],
    [
      ['--preset', 'best'],
      'Expected 6 lists for defaultBoxes.aspectRatios',
      'DEFAULT_BOXES: { aspectRatios: [[2]], scales: [0.1, 1], steps: [], clip: true }',
    ],
    [
      [],
      'Expected DEFAULT_BOXES.scales that ascend',
      'DEFAULT_BOXES: { aspectRatios: [[2]], scales: [1, 0.1], steps: [], clip: true }',
    ],
    [[], 'did you mean "DEFAULT_BOXES"', 'DEFAULT_BOX: {}'],
  ] as [string[], string, string?][])(
    'train %j, before it looks for an image: %s',
    async (args, message, more = '') => {
      const config = await configFile();
      await appendFile(config, `\n${more}`);
      const outDir = join(await temporaryFolder(), 'run');
      const { code, out, error } = await run('train', '--config', config, '--out-dir', outDir, ...args);
      expect(error).toContain(message);
      expect(error).not.toContain('Cannot list the folder'); // which is the next thing that is wrong
      expect([code, out, existsSync(outDir)]).toEqual([1, '', false]);
    },
  );

  it('train --settings, before it looks for an image; flags override the file', async () => {
    const [config, folder] = [await configFile(), await temporaryFolder()];
    await writeFiles(folder, {
      'settings.yaml': 'training: { milestones: [3], epochs: 9 }\ndetector: { head: ssd }\n',
    });
    const settings = join(folder, 'settings.yaml');
    const train = (...args: string[]) => run('train', '--config', config, '--settings', settings, ...args);
    expect(await train('--epochs', '2')).toMatchObject({
      code: 1,
      error: expect.stringContaining('milestones past the end: 3 of 2'),
    });
    expect((await train('--epochs', '2', '--milestones', 'none')).error).toContain('Cannot list the folder');
    expect((await train('--box-loss', 'giou')).error).toContain('Cannot list the folder');
    expect(await train('--resume')).toMatchObject({ code: 2, error: expect.stringContaining('cannot be used with') });
    await writeFiles(folder, { 'settings.yaml': 'training: { epoch: 9 }\n' });
    expect(await train()).toMatchObject({
      code: 1,
      error: expect.stringContaining(`Settings "${settings}": Unknown key "epoch" in training; did you mean "epochs"?`),
    });
  });

  it('train --resume without a run', async () => {
    const outDir = await temporaryFolder();
    const { code, error } = await run('train', '--config', await configFile(), '--resume', '--out-dir', outDir);
    expect(error).toBe(
      `Error: --resume: no run with a checkpoint "last" in ${outDir}. Name the run with --out-dir DIR\n`,
    );
    expect(code).toBe(2);
  });

  it('train over a run that is there', async () => {
    const outDir = await temporaryFolder();
    await writeFiles(outDir, { 'last/checkpoint.json': '{}' });
    const { code, error } = await run('train', '--config', await configFile(), '--out-dir', outDir);
    expect(error).toContain(`${outDir} already holds a run. Go on with it by --resume`);
    expect(code).toBe(2);
  });

  it('detect into a folder with other things', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'a.jpg': 'mine' });
    const { code, error } = await run('detect', '--checkpoint', 'a', '--out-dir', folder, join(folder, 'a.jpg'));
    expect(error).toContain(`${folder} is not empty and holds no detections.json`);
    expect(code).toBe(2);
  });
});

describe('a failure ends with 1 and one clear message', () => {
  it.each([
    ['a missing configuration', ['train', '--config', 'none.yaml'], 'Data set config "none.yaml": it does not exist'],
    [
      'weights that are not there',
      ['summary', '--config', 'none.yaml', '--weights', 'none.pth'],
      'No weights file "none.pth"',
    ],
    ['images that are not there', ['detect', '--checkpoint', 'none', 'none.jpg'], 'No image was found'],
  ])('%s', async (_, args, message) => {
    const { code, out, error } = await run(...args);
    expect(error).toContain(`Error: ${message}`);
    expect(error).not.toMatch(/\n\s+at /);
    expect(out).toBe('');
    expect(code).toBe(1);
  });

  it('a configuration with an unknown key', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'data.yaml': `${yaml}\nCLASES: []\n` });
    const { code, error } = await run('train', '--config', join(folder, 'data.yaml'));
    expect(error).toContain('Unknown key "CLASES" in the file; did you mean "CLASSES"?');
    expect(code).toBe(1);
  });

  it('a data set that is not there', async () => {
    const { code, error } = await run('train', '--config', await configFile());
    expect(error).toContain('Cannot list the folder');
    expect(code).toBe(1);
  });

  it('a checkpoint that is not there', async () => {
    const folder = await temporaryFolder();
    const args = ['--checkpoint', folder, '--config', await configFile()];
    const { code, error } = await run('evaluate', ...args);
    expect(error).toContain(`No checkpoint in ${folder}`);
    expect(code).toBe(1);
    const split = await run('evaluate', ...args, '--split', 'test');
    expect(split.error).toContain('--split test:');
    expect(split.code).toBe(2);
  });

  it('shows the stack with DEBUG', async () => {
    vi.stubEnv('DEBUG', '1');
    const error = await new Promise<unknown>((resolve) => {
      vi.spyOn(console, 'error').mockImplementation(resolve);
      void runProgram(['train', '--config', 'none.yaml']);
    });
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', stack: expect.stringContaining('dataset-config.ts') });
  });
});
