import { execFile } from 'node:child_process';
import { cp, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Detection } from '../../lib/boxes/detection.ts';
import { Detector } from '../../lib/detector/detector.ts';
import { exportDetector } from '../../lib/detector/export-detector.ts';
import { addonPath } from '../../lib/libtorch/load.ts';
import { compare } from '../../lib/onnx/verify.ts';
import { writeModules } from '../support/packaged-app.ts';
import { squareClasses } from '../support/squares.ts';
import { noise } from '../support/voc.ts';

const example = fileURLToPath(new URL('../../examples/electron', import.meta.url));
const electron = process.env.DINOV3_DET_ELECTRON;

let folder: string;
let app: string;
let checkpoint: string;
let image: string;
let onnx: string;
let expected: Detection[];

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'dinov3-det-test-')));
  [app, checkpoint, image] = [join(folder, 'app'), join(folder, 'checkpoint'), join(folder, 'image.png')];
  onnx = join(folder, 'detector.onnx');
  const imageSize = { width: 64, height: 64 };
  await using detector = await Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize });
  await detector.save(checkpoint);
  await noise(60, 40).png().toFile(image);
  expected = await detector.detect(image, { scoreThreshold: 0 });
  await exportDetector(detector, onnx, { format: 'onnx', nms: 'none', verify: false });

  await cp(example, app, { recursive: true, filter: (path) => !path.includes('node_modules') });
  await writeModules(app);
  const build = join(app, 'node_modules', 'dinov3-det', 'build', 'Release');
  await cp(dirname(addonPath()), build, { recursive: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('main.js of examples/electron, on a stub of Electron, serves a locked window from a utility process', async () => {
  await cp(fileURLToPath(new URL('../support/fake-electron', import.meta.url)), join(app, 'node_modules', 'electron'), {
    recursive: true,
  });
  const { stdout } = await promisify(execFile)(process.execPath, [join(app, 'main.js'), checkpoint, image]);
  expect(JSON.parse(stdout)).toEqual({
    path: join(app, 'page', 'index.html'),
    preferences: { sandbox: true, contextIsolation: true, nodeIntegration: false },
    reply: { ok: true, value: expected },
    processes: 1,
    options: { serviceName: 'dinov3-det', allowLoadingUnsignedLibraries: true },
  });
  const exported = await promisify(execFile)(process.execPath, [join(app, 'main.js'), onnx, image]);
  const { ok, value } = JSON.parse(exported.stdout).reply as { ok: boolean; value: Detection[] };
  expect(ok).toBe(true);
  expect(value.length).toBeGreaterThan(5);
  expect(compare([expected], [value]).score).toBeLessThan(1e-5);

  const none = await promisify(execFile)(process.execPath, [join(app, 'main.js'), folder]).catch((error) => error);
  expect(none.code).toBe(1);
  expect(JSON.parse(none.stdout).text).toContain(`No checkpoint in ${folder}`);
});

/** A hidden window with the example's page and preload script; the page asks, the main process prints. */
const program = `
  import { app, BrowserWindow } from 'electron';
  import { readFileSync } from 'node:fs';
  import { join } from 'node:path';
  import { createDetectorHost, preloadPath, serveWindows } from 'dinov3-det/electron';
  const [checkpoint, image] = process.argv.slice(-2);
  try {
    await app.whenReady();
    const host = await createDetectorHost();
    const detector = await host.load(checkpoint);
    await serveWindows(detector);
    const window = new BrowserWindow({ show: false, webPreferences: { preload: preloadPath, sandbox: true } });
    await window.loadFile(join(import.meta.dirname, 'page', 'index.html'));
    const bytes = JSON.stringify([...readFileSync(image)]);
    const ask = 'dinov3Detector.detect(new Uint8Array(' + bytes + '), { scoreThreshold: 0 })';
    const reply = await window.webContents.executeJavaScript(ask);
    const direct = await detector.detect(image, { scoreThreshold: 0 });
    console.log('RESULT ' + JSON.stringify({ reply, direct }));
    await host.dispose();
    app.exit(0);
  } catch (error) {
    console.error(error);
    app.exit(1);
  }`;

it.skipIf(!electron)('the same in real Electron (skipped: DINOV3_DET_ELECTRON names no binary)', async () => {
  await rm(join(app, 'node_modules', 'electron'), { recursive: true, force: true }); // the stub; Electron has its own
  await writeFile(join(app, 'main.js'), program);
  const { stdout } = await promisify(execFile)(electron!, ['--no-sandbox', app, checkpoint, image]);
  const result = /^RESULT (.*)$/m.exec(stdout)?.[1];
  expect(JSON.parse(result!)).toEqual({ reply: { ok: true, value: expected }, direct: expected });
});
