import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';

import { analyzeDataset } from '../../lib/analysis/analyze-dataset.ts';
import { findLibtorch } from '../../lib/libtorch/find.ts';
import { openSquares } from '../support/squares.ts';
import { borrow, installPackage, manifest, packedPackage, program } from '../support/tarball.ts';

/** An empty folder of somebody who has never seen this repository. */
const folder = await mkdtemp(join(tmpdir(), 'dinov3-det-consumer-'));
afterAll(() => rm(folder, { recursive: true, force: true }));
const { byNpm, how } = await installPackage(folder, await packedPackage());
const modules = join(folder, 'node_modules');
const [installed, bytes, addonBytes] = await Promise.all([
  readdir(modules),
  bytesIn(modules),
  bytesIn(join(modules, manifest.name, 'prebuilds')),
]);

const cache = join(folder, 'cache');
const env = { DINOV3_DET_CACHE: cache, LIBTORCH: undefined, LIBTORCH_USE_PYTORCH: undefined };
const node = (...args: string[]) => program(process.execPath, args, { cwd: folder, env });
const command = (...args: string[]) => program('npx', ['--offline', 'dinov3-det', ...args], { cwd: folder, env });
const failureOf = (run: Promise<string>) =>
  run.then(
    () => expect.fail('it did not fail'),
    ({ stdout }) => stdout,
  );
const write = (name: string, text: string) => writeFile(join(folder, name), text);

/** What Node.js can import: `dinov3-det`, and whatever else package.json exports, but for a preload script of Electron. */
const entries = Object.keys(manifest.exports)
  .filter((path) => !/\.json$|\/preload$/.test(path))
  .map((path) => manifest.name + path.slice(1));

/** What the files of a folder take on a disk, which gives them whole blocks. */
async function bytesIn(path: string): Promise<number> {
  const files = (await readdir(path, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(({ name, parentPath }) => stat(join(parentPath, name))));
  return sizes.reduce((sum, { size }) => sum + 4096 * Math.ceil(size / 4096), 0);
}

describe(`the package, installed ${how}`, () => {
  it.skipIf(!byNpm)("is small: at most 40 MB, with no chart library (needs npm's cache or registry)", () => {
    expect(installed).toContain(manifest.name);
    expect(installed.filter((name) => /^(echarts|zrender|tslib)$/.test(name))).toEqual([]);
    // A release brings the addons of three more platforms.
    expect(bytes + 3 * addonBytes).toBeLessThanOrEqual(40 * 1024 ** 2);
  });

  it('draws every chart as the sources do, with the parts of the chart library in it', async () => {
    const analysis = await analyzeDataset(await openSquares(join(folder, 'squares'), 7));
    await write('analysis.json', JSON.stringify(analysis));
    const draw = (library: string, plot: string) => `
      import { readFileSync } from 'node:fs';
      const { writeAnalysisReport } = await import('${library}');
      const { lineChartSvg } = await import('${plot}');
      const analysis = JSON.parse(readFileSync('analysis.json', 'utf8'));
      const files = await writeAnalysisReport('report', 'T', analysis);
      const points = [[1, 3], [2, null], [3, 1]];
      const series = [{ name: 'a', points }, { name: 'b', points: [[0, 2]] }];
      const line = await lineChartSvg({ title: 'T', xLabel: 'x', yLabel: 'y', series });
      console.log(JSON.stringify({ files, page: readFileSync('report/report.html', 'utf8'), line }));`;
    const evaluate = ['--input-type=module', '--eval'];
    const chunks = join(modules, manifest.name, 'dist', 'chunks');
    const [plot] = (await readdir(chunks)).filter((name) => /^plot-\w+\.js$/.test(name));
    const bundled = await node(...evaluate, draw(manifest.name, pathToFileURL(join(chunks, plot!)).href));
    const lib = (path: string) => new URL(`../../lib/${path}`, import.meta.url).href;
    const tsx = ['--import', import.meta.resolve('tsx')];
    const drawn = await node(...tsx, ...evaluate, draw(lib('index.ts'), lib('images/plot.ts')));
    expect(JSON.parse(bundled).files).toHaveLength(10);
    expect(JSON.parse(bundled)).toEqual(JSON.parse(drawn));
  });

  it.each(entries)('gives the same to import and to require: %s', async (entry) => {
    await write('names.mjs', `console.log(Object.keys(await import('${entry}')).sort().join());`);
    await write('names.cjs', `console.log(Object.keys(require('${entry}')).sort().join());`);
    const [imported, required] = [await node('names.mjs'), await node('names.cjs')];
    expect(imported.trim()).not.toBe('');
    expect(required).toBe(imported);
  });

  it.each([
    ['node16', 'node16', ['consumer.mts']],
    ['nodenext', 'nodenext', ['consumer.mts', 'consumer.cts']],
    ['esnext', 'bundler', ['consumer.mts', 'consumer.cts']],
  ])('has types for TypeScript, module %s and moduleResolution %s', async (module, moduleResolution, files) => {
    await borrow(folder, '@types/node', 'undici-types');
    const source = `
      import { type Detection, Detector, DetectorError } from '${manifest.name}';
      ${entries.map((entry, index) => `import * as entry${index} from '${entry}';\nvoid entry${index};`).join('\n')}
      export async function labels(path: string): Promise<string[]> {
        const detector = await Detector.load(path, { device: 'cpu' });
        const found: Detection[] = await detector.detect('photo.jpg', { scoreThreshold: 0.5 });
        const jpeg: Uint8Array = await detector.annotate('photo.jpg', found);
        // @ts-expect-error there is no such option
        await Detector.load(path, { nothing: true });
        // @ts-expect-error a label is a name
        const wrong: number = found[0].label;
        return jpeg.length > 0 ? found.map(({ label }) => label) : [String(wrong), DetectorError.name];
      }`;
    for (const file of files) await write(file, source);
    const strict = { strict: true, skipLibCheck: false, noEmit: true, target: 'es2022', types: [] };
    await write('tsconfig.json', JSON.stringify({ compilerOptions: { ...strict, module, moduleResolution }, files }));
    const tsc = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));
    await node(tsc, '-p', 'tsconfig.json').catch(({ stdout }) => expect.fail(stdout));
  });

  it('works without LibTorch as far as that is not needed, and then names the one command', async () => {
    await mkdir(cache);
    await write(
      'first.mjs',
      `import { cocoAveragePrecision, Detector } from '${manifest.name}';
      console.log((await cocoAveragePrecision([])).ap);
      await Detector.create({ classes: ['__background__', 'cat'], imageSize: { width: 64, height: 64 } }).catch(
        ({ code, message }) => console.log(code, message),
      );`,
    );
    expect(await node('first.mjs')).toMatch(
      /^-1\nLIBTORCH_NOT_FOUND LibTorch .* was not found.*\nInstall it with: npx dinov3-det install\n$/s,
    );
    expect(await failureOf(command('doctor'))).toContain('Install it with: npx dinov3-det install\n');
  });

  it('then installs LibTorch and detects, by the commands that it names', async () => {
    const { lib, version } = await findLibtorch();
    // Without the headers, ten thousand files.
    const libtorch = join(folder, 'libtorch');
    await mkdir(join(libtorch, 'lib'), { recursive: true });
    for (const file of await readdir(lib)) await symlink(join(lib, file), join(libtorch, 'lib', file));
    await writeFile(join(libtorch, 'build-version'), version);
    expect(await command('install', '--from', libtorch)).toContain(`LibTorch ${version}`);
    await write(
      'create.mjs',
      `import { Detector } from '${manifest.name}';
      const options = { backbone: 'convnext_test', imageSize: { width: 64, height: 64 }, seed: 1 };
      const detector = await Detector.create({ classes: ['__background__', 'cat'], ...options });
      await detector.save('checkpoint');`,
    );
    await node('create.mjs');
    const image = sharp({ create: { width: 90, height: 70, channels: 3, background: 'teal' } });
    await writeFile(join(folder, 'photo.jpg'), await image.jpeg().toBuffer());
    const args = ['--checkpoint', 'checkpoint', '--threshold', '0', '--out-dir', 'out', '--json', 'photo.jpg'];
    const [found] = JSON.parse(await command('detect', ...args));
    expect(found).toMatchObject({ width: 90, height: 70, annotated: 'photo.jpg' });
    expect(found.detections[0]).toEqual({ label: 'cat', score: expect.any(Number), box: expect.any(Object) });
    expect((await readFile(join(folder, 'out', 'photo.jpg'))).subarray(0, 2)).toEqual(Buffer.of(0xff, 0xd8));
    expect(JSON.parse(await command('doctor', '--json'))).toMatchObject({ ok: true });
  });
});
