import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Detection } from '../../lib/boxes/detection.ts';
import { Detector } from '../../lib/detector/detector.ts';
import { bundleRuntime } from '../../lib/libtorch/bundle.ts';
import { findLibtorch } from '../../lib/libtorch/find.ts';
import { addonPath } from '../../lib/libtorch/load.ts';
import { writeModules } from '../support/packaged-app.ts';
import { squareClasses } from '../support/squares.ts';
import { noise } from '../support/voc.ts';

/** Apps laid out as electron-builder does; the archive is a folder of the same name, which Electron makes it look like. */
const program = `
  import { dirname } from 'node:path';
  process.resourcesPath = dirname(import.meta.dirname); // as Electron does
  const { Detector } = await import('dinov3-det');
  const detector = await Detector.load(process.argv[2], { threads: 1 });
  const found = await detector.detect(process.argv[3], { scoreThreshold: 0, maxDetections: 5 });
  process.report.excludeNetwork = true;
  const libraries = process.report.getReport().sharedObjects.filter((path) => /torch|c10|gomp|dinov3/.test(path));
  console.log(JSON.stringify({ found, libraries }));`;

let folder: string;
let args: [checkpoint: string, image: string];
let expected: Detection[];

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'dinov3-det-test-')));
  args = [join(folder, 'checkpoint'), join(folder, 'image.png')];
  const imageSize = { width: 64, height: 64 };
  await using detector = await Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize });
  await detector.save(args[0]);
  await noise(60, 40).png().toFile(args[1]);
  expected = await detector.detect(args[1], { scoreThreshold: 0, maxDetections: 5 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The app's archive: its program, and its packages. */
async function writeApp(resources: string): Promise<void> {
  await writeModules(join(resources, 'app.asar'));
  await writeFile(join(resources, 'app.asar', 'main.mjs'), program);
}

async function start(resources: string, libtorch = '') {
  const env = { ...process.env, DINOV3_DET_CACHE: join(folder, 'empty'), LIBTORCH: libtorch, LIBTORCH_USE_PYTORCH: '' };
  const program = join(resources, 'app.asar', 'main.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args], { env });
  return JSON.parse(stdout) as { found: Detection[]; libraries: string[] };
}

it('with a bundle in its resources detects as here, and from another place after a move', async () => {
  const resources = join(folder, 'one', 'resources');
  await writeApp(resources);
  await bundleRuntime(join(resources, 'dinov3-det'));
  const first = await start(resources);
  expect(first.found).toEqual(expected);
  expect(first.libraries.length).toBeGreaterThan(4);
  for (const path of first.libraries) expect(path.startsWith(join(resources, 'dinov3-det'))).toBe(true);

  const moved = join(folder, 'another place', 'My App', 'resources');
  await mkdir(dirname(moved), { recursive: true });
  await rename(resources, moved);
  const second = await start(moved);
  expect(second.found).toEqual(expected);
  expect(second.libraries).toEqual(first.libraries.map((path) => path.replace(resources, moved)));

  await rm(join(moved, 'dinov3-det'), { recursive: true });
  await expect(start(moved)).rejects.toThrow('No native addon for');
});

it('without a bundle takes the addon that is unpacked beside its archive', async () => {
  const resources = join(folder, 'unpacked', 'resources');
  await writeApp(resources);
  const unpacked = join(resources, 'app.asar.unpacked', 'node_modules', 'dinov3-det');
  await cp(dirname(addonPath()), join(unpacked, 'build', 'Release'), { recursive: true });
  const { found, libraries } = await start(resources, (await findLibtorch()).dir);
  expect(found).toEqual(expected);
  expect(libraries).toContain(join(unpacked, 'build', 'Release', 'dinov3_det.node'));
});
