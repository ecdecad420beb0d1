import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runProgram } from '../../../../lib/cli/program.ts';
import { loadDatasetConfig } from '../../../../lib/data/dataset-config.ts';
import { Detector } from '../../../../lib/detector/detector.ts';
import { writeSquares } from '../../../support/squares.ts';
import { temporaryFolder, writeFiles } from '../../../support/voc.ts';

afterEach(() => vi.restoreAllMocks());

/** Runs a command line in this process. */
async function run(...args: string[]) {
  const [out, error]: [string[], string[]] = [[], []];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => error.push(String(text)) > 0);
  vi.spyOn(console, 'log').mockImplementation((text) => void out.push(`${text}\n`));
  vi.spyOn(console, 'error').mockImplementation((text) => void error.push(`${text}\n`));
  const code = await runProgram(args);
  vi.restoreAllMocks();
  return { code, out: out.join(''), error: error.join('') };
}

const analyze = (...args: string[]) => run('analyze', ...args);

/** A data set of squares of about a third of the image, and its file. */
async function squares(): Promise<{ folder: string; config: string }> {
  const folder = await temporaryFolder();
  await writeSquares(folder, 8);
  await writeFiles(folder, {
    'data.yaml': [
      '# my squares',
      'TRAIN_IMG: images',
      'TRAIN_ANNOT: labels',
      'VALID_IMG: images',
      'VALID_ANNOT: labels',
      "CLASSES: ['__background__', 'red', 'blue']",
      '',
    ].join('\n'),
  });
  return { folder, config: join(folder, 'data.yaml') };
}

/** Two by two cells: the article's default boxes find hardly an object. */
const small = ['--imgsz', '64', '64', '--preset', 'article'];

/** Percent of all objects that the configured default boxes reach. */
const shareOf = (out: string) => Number(/^all .*?([\d.]+) %/m.exec(out)![1]);

describe('analyze', () => {
  it('prints tables, and writes JSON, charts and a page', async () => {
    const { folder, config } = await squares();
    const [json, output] = [join(folder, 'analysis.json'), join(folder, 'report')];
    const { code, out, error } = await analyze(...small, '--config', config, '--json', json, '--output', output);
    expect(code, error).toBe(0);
    expect(out).toMatch(/^images +8$/m);
    expect(out).toMatch(/^red +\d+ +\d+ +0 +\d+\.\d %$/m);
    expect(out).toContain('Default boxes at 64x64 on 2x2 cells (16 configured, 16 proposed)');
    expect(out).toMatch(/^Proposed scales: \[0\.\d+,/m);
    expect(error).toContain('Warning: Only ');
    expect(JSON.parse(await readFile(json, 'utf8'))).toMatchObject({
      images: 8,
      configured: { coverage: { boxes: 16 } },
    });
    expect(await readdir(output)).toContain('report.html');

    // Its own report may be written again, other files not.
    expect(await analyze('--config', config, '--output', output)).toMatchObject({ code: 0 });
    const refused = await analyze('--config', config, '--json', json, '--output', output);
    expect(refused).toMatchObject({ code: 2, out: '', error: expect.stringContaining('already exists') });
    expect(await analyze('--config', config, '--json', json, '--force')).toMatchObject({ code: 0 });
  });

  it('writes a data set file whose default boxes fit better, in any folder', async () => {
    const { folder, config } = await squares();
    const before = await analyze(...small, '--config', config);
    for (const place of [folder, await temporaryFolder()]) {
      const fitted = join(place, 'fitted.yaml');
      expect(await analyze(...small, '--config', config, '--write-config', fitted)).toMatchObject({ code: 0 });
      const loaded = await loadDatasetConfig(fitted);
      expect({ ...loaded, path: config, defaultBoxes: undefined }).toEqual({
        ...(await loadDatasetConfig(config)),
        defaultBoxes: undefined,
      });
      expect(loaded.defaultBoxes).toHaveProperty('scales.length', 2);
      const text = await readFile(fitted, 'utf8');
      expect(text).toContain('# my squares');
      expect(text).toContain('# by dinov3-det analyze, at 64x64 on 2x2 cells');
      const after = await analyze(...small, '--config', fitted);
      expect(shareOf(after.out)).toBeGreaterThan(shareOf(before.out));
    }
  });

  it('writes default boxes that summary and train take', async () => {
    const { folder, config } = await squares();
    const fitted = join(folder, 'fitted.yaml');
    await analyze(...small, '--config', config, '--ratios', '0', '--write-config', fitted);
    const model = [...small, '--config', fitted, '--backbone', 'convnext_test'];
    // Two squares in each of four cells.
    expect((await run('summary', ...model)).out).toMatch(/default boxes .* \[8, 4\]/);
    const outDir = join(folder, 'run');
    const { code, error } = await run('train', ...model, '--epochs', '1', '--out-dir', outDir);
    expect(code, error).toBe(0);
    await using detector = await Detector.load(join(outDir, 'last'));
    expect(detector.config.defaultBoxes).toEqual((await loadDatasetConfig(fitted)).defaultBoxes);
  });

  it('proposes anchors for the head of RetinaNet, which summary takes', async () => {
    const { folder, config } = await squares();
    const fitted = join(folder, 'anchors.yaml');
    const retinaNet = [...small, '--head', 'retinanet'];
    const { code, out, error } = await analyze(...retinaNet, '--config', config, '--write-config', fitted);
    expect(code, error).toBe(0);
    expect(out).toMatch(/Default boxes at 64x64 on 8x8, 4x4, 2x2, 1x1, 1x1 cells \(774 configured, \d+ proposed\)/);
    expect(out).toMatch(/Proposed sizes: \[\[.*\n?Proposed aspect ratios: \[/);
    expect((await loadDatasetConfig(fitted)).defaultBoxes).toHaveProperty('sizes.length', 5);
    const summary = ['summary', ...retinaNet, '--backbone', 'convnext_test'];
    const shown = await run(...summary, '--config', fitted);
    expect(shown.code, shown.error).toBe(0);
    expect(shown.out).toContain('head (RetinaNetHead)');
    const wrong = await run('summary', ...small, '--backbone', 'convnext_test', '--config', fitted);
    expect(wrong.code).toBe(1);
    expect(wrong.error).toContain(
      'for the head ssd but received sizes. Leave them out (DEFAULT_BOXES of a data set file)',
    );
  });

  it('takes the maps of another model', async () => {
    const { config } = await squares();
    const { out } = await analyze('--config', config, '--imgsz', '96', '64', '--strides', '8', '30', '--ratios', '0');
    expect(out).toContain('Default boxes at 96x64 on 12x8, 4x3 cells');
    expect(out).toContain('Proposed aspect ratios: [[],[]]');
  });

  it.each<[string[], string]>([
    [['--strides', '32', '16'], '--strides: expected ascending numbers, found 32 16'],
    [['--strides', '0'], 'Expected an integer >= 1.'],
    [['--imgsz', '100', '64'], 'Expected multiple of 32 for imgsz.width but received 100'],
    [['--split', 'test'], 'has no TEST_SPLIT'],
    [['--ratios', '-1'], 'Expected an integer from 0 to 16.'],
    [['--json', '.'], '. is a directory'],
    [['--output', 'test'], 'test is not empty and holds no report.html'],
  ])('%j is a wrong command line', async (args, message) => {
    const { config } = await squares();
    const { code, out, error } = await analyze('--config', config, ...args);
    expect(error).toContain(message);
    expect(out).toBe('');
    expect(code).toBe(2);
  });

  it('says that points need no default boxes, and writes none', async () => {
    const { folder, config } = await squares();
    const dense = ['--preset', 'dense', '--imgsz', '64', '64', '--config', config];
    const { code, out, error } = await analyze(...dense, '--output', join(folder, 'report'));
    expect(code, error).toBe(0);
    expect(out).toContain('Points at 64x64 on 8x8, 4x4, 2x2 cells (84), which need no default boxes');
    expect(out).toContain('There is nothing to propose');
    const refused = await analyze(...dense, '--write-config', join(folder, 'never.yaml'));
    expect(refused.code).toBe(2);
    expect(refused.error).toContain('the head dense has points');
  });

  it('never replaces the data set file, not even with --force', async () => {
    const { config } = await squares();
    const text = await readFile(config, 'utf8');
    for (const option of ['--write-config', '--json']) {
      const { code, error } = await analyze('--config', config, option, config, '--force');
      expect(code).toBe(2);
      expect(error).toContain('is the data set file itself');
    }
    expect(await readFile(config, 'utf8')).toBe(text);
  });

  it('says what a data set without images lacks', async () => {
    const { folder, config } = await squares();
    await writeFiles(folder, { 'none/a.txt': '' });
    const none = join(folder, 'none.yaml');
    await writeFiles(folder, { 'none.yaml': (await readFile(config, 'utf8')).replace(/images|labels/g, 'none') });
    const { code, error } = await analyze('--config', none);
    expect(code).toBe(1);
    expect(error).toContain('no image with an annotation is left');
  });
});
