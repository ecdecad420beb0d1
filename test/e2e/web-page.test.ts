import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Detection } from '../../lib/boxes/detection.ts';
import type { Detector } from '../../lib/detector/detector.ts';
import { exportDetector } from '../../lib/detector/export-detector.ts';
import { compare, drawnImage } from '../../lib/onnx/verify.ts';
import { hasChromium, launchChromium } from '../support/chromium.ts';
import { formOptions } from '../support/onnx-models.ts';
import { randomDetector } from '../support/random-weights.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const missing = hasChromium ? '' : ' (skipped: no /usr/bin/chromium, nor one in CHROMIUM)';

let folder: string;
let server: ChildProcess;
let browser: Browser;
let page: Page;
let detector: Detector;
let url: string;
const complaints: string[] = [];
const requests: string[] = [];

/** Of the page, as far as it is needed. */
interface HTMLVideo {
  videoWidth: number;
  videoHeight: number;
  srcObject: { active: boolean };
}

/** What the list of the page says, from the slider's score on. */
async function shown(): Promise<Detection[]> {
  return await page.$$eval('#detections li', (items) => items.map((item) => JSON.parse(item.dataset.detection!)));
}

const status = () => page.textContent('#status');
const file = (name: string) => join(folder, name);

describe.skipIf(!hasChromium)(`examples/web in Chromium${missing}`, () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
    detector = await randomDetector(formOptions('pyramid'));
    await exportDetector(detector, file('inside.onnx'), { format: 'onnx', verify: false });
    await exportDetector(detector, file('none.onnx'), { format: 'onnx', nms: 'none', input: 'float', verify: false });
    await writeFile(file('foreign.onnx'), 'not a model');
    const { data, width, height } = drawnImage({ width: 300, height: 200 }, 5);
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(file('image.png'));
    await installExample();
    server = spawn(process.execPath, ['serve.js'], { cwd: file('web'), env: { ...process.env, PORT: '0' } });
    url = String((await once(server.stdout!, 'data'))[0]).trim();
    browser = await launchChromium();
    page = await browser.newPage();
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(url);
    await page.waitForSelector('html[data-ready]');
  });
  afterAll(async () => {
    await browser?.close();
    server?.kill();
    detector?.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  /** As `npm install` would, with what is compiled here. */
  async function installExample(): Promise<void> {
    await cp(join(root, 'examples/web'), file('web'), { recursive: true });
    const modules = file('web/node_modules');
    await mkdir(join(modules, 'dinov3-det'), { recursive: true });
    await symlink(join(root, 'dist'), join(modules, 'dinov3-det/dist'));
    await symlink(join(root, 'node_modules/onnxruntime-web'), join(modules, 'onnxruntime-web'));
  }

  it('says what is wrong with a file that is no model of ours', async () => {
    await page.setInputFiles('#model', file('foreign.onnx'));
    await page.locator('#status', { hasText: 'cannot be used' }).waitFor();
    expect(await status()).toContain('foreign.onnx cannot be used');
    expect(await page.isDisabled('#image')).toBe(true);
  });

  it.each(['inside.onnx', 'none.onnx'])('%s: finds the same as the detector', async (model) => {
    await page.setInputFiles('#model', file(model));
    await page.locator('#status', { hasText: `${model}: cat` }).waitFor();
    await page.setInputFiles('#image', file('image.png'));
    await page.locator('#status', { hasText: / ms$/ }).waitFor();
    await page.fill('#threshold', '0.05');
    const expected = await detector.detect(file('image.png'), { scoreThreshold: 0.05 });
    const result = compare([expected], [await shown()]);
    expect(result).toMatchObject({ detections: expected.length, unmatched: 0 });
    expect(expected.length).toBeGreaterThan(50);
    expect(result.box).toBeLessThan(1e-3);
    expect(result.score).toBeLessThan(1e-5);
    await page.fill('#threshold', '0.5');
    expect((await shown()).length).toBe(expected.filter(({ score }) => score > 0.5).length);
    expect(await page.getAttribute('#canvas', 'width')).toBe('300');
    await page.setInputFiles('#image', []);
  });

  it('says so where the camera may not be used', async () => {
    await page.click('#camera');
    await page.locator('#status', { hasText: 'Permission denied' }).waitFor();
    expect(await page.textContent('#camera')).toBe('Camera');
  });

  it('finds objects in what the camera sees, until it is stopped', async () => {
    await page.context().grantPermissions(['camera'], { origin: url });
    await page.fill('#threshold', '0.05');
    await page.click('#camera');
    await page.locator('#status', { hasText: /^\d+\.\d pictures a second$/ }).waitFor();
    expect(await page.textContent('#camera')).toBe('Stop');
    const [width, height] = await page.$eval('#video', (video: HTMLVideo) => [video.videoWidth, video.videoHeight]);
    expect(width).toBeGreaterThan(100);
    expect(await page.getAttribute('#canvas', 'width')).toBe(`${width}`);
    const found = await shown();
    expect(found.length).toBeGreaterThan(10);
    for (const { label, box } of found) {
      expect(detector.classes).toContain(label);
      expect(box.xmax).toBeLessThanOrEqual(width! + 1e-3);
      expect(box.ymax).toBeLessThanOrEqual(height! + 1e-3);
    }
    await page.click('#camera');
    expect(await page.textContent('#camera')).toBe('Camera');
    expect(await page.$eval('#video', (video: HTMLVideo) => video.srcObject.active)).toBe(false);
  });

  it.each<[string, string]>([
    ['has no adapter', 'async () => null'],
    ['fails', "async () => { throw new Error('no driver') }"],
  ])('computes in WebAssembly where WebGPU %s', async (_, requestAdapter) => {
    const other = await browser.newPage();
    await other.addInitScript(
      `Object.defineProperty(navigator, 'gpu', { value: { requestAdapter: ${requestAdapter} }, configurable: true })`,
    );
    await other.goto(url);
    await other.waitForSelector('html[data-ready]');
    await other.setInputFiles('#model', file('none.onnx'));
    await other.locator('#status', { hasText: 'none.onnx: cat' }).waitFor();
    await other.setInputFiles('#image', file('image.png'));
    await other.locator('#status', { hasText: / ms$/ }).waitFor();
    expect(await other.locator('#detections li').count()).toBeGreaterThan(0);
    await other.close();
  });

  it('annotates', async () => {
    // As text: it is a program of the page, where modules are found elsewhere.
    const [kind, size] = (await page.evaluate(`(async () => {
      const { OnnxDetector } = await import('./node_modules/dinov3-det/dist/inference/web.js');
      const runtime = await import('./node_modules/onnxruntime-web/dist/ort.bundle.min.mjs');
      const detector = await OnnxDetector.load(document.getElementById('model').files[0], { runtime });
      const image = { data: new Uint8Array(64 * 48 * 3).fill(128), width: 64, height: 48 };
      const found = [{ label: 'cat', score: 0.5, box: { xmin: 5, ymin: 20, xmax: 40, ymax: 40 } }];
      const drawn = await detector.annotate(image, found, { format: 'png' });
      detector.dispose();
      return [drawn.type, drawn.size];
    })()`)) as [string, number];
    expect(kind).toBe('image/png');
    expect(size).toBeGreaterThan(200);
  });

  it('loads nothing from elsewhere, sends nothing, and does not complain', () => {
    expect(requests.filter((each) => !each.startsWith(url) && !each.startsWith('blob:'))).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
