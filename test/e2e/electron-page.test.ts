import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Detection } from '../../lib/boxes/detection.ts';
import type { IpcMainInvokeEvent } from '../../lib/electron/electron.ts';
import type { DetectorHost } from '../../lib/electron/host.ts';
import type { HostedDetector } from '../../lib/electron/hosted-detector.ts';
import { serveWindows } from '../../lib/electron/windows.ts';
import { hostOn } from '../lib/electron/services.ts';
import { hasChromium, launchChromium } from '../support/chromium.ts';
import { squareClasses } from '../support/squares.ts';

const pageFolder = fileURLToPath(new URL('../../examples/electron/page', import.meta.url));
const types: Record<string, string> = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript' };
const missing = hasChromium ? '' : ' (skipped: no /usr/bin/chromium, nor one in CHROMIUM)';

let folder: string;
let server: Server;
let browser: Browser;
let host: DetectorHost;
let detector: HostedDetector;
let page: Page;
let complaints: string[];
let invoke: (channel: string, request: unknown) => Promise<unknown>;

const WIDTH = 300;
const HEIGHT = 200;

/** As the page asks. */
const least = { scoreThreshold: 0.05 };
const grey = [128, 128, 128];

/** A grey image with two squares; `shift` makes it another one. */
async function writeImage(name: string, shift = 0): Promise<string> {
  const square = (background: string) => ({ create: { width: 60, height: 60, channels: 3 as const, background } });
  const layers = [
    { input: square('red'), left: 30 + shift, top: 40 },
    { input: square('blue'), left: 180, top: 90 - shift },
  ];
  const path = join(folder, name);
  const ground = { width: WIDTH, height: HEIGHT, channels: 3 as const, background: '#808080' };
  await sharp({ create: ground }).composite(layers).png().toFile(path);
  return path;
}

describe.skipIf(!hasChromium)(`the page of examples/electron in Chromium${missing}`, () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
    ({ host } = hostOn('a child process'));
    const imageSize = { width: 96, height: 64 };
    detector = await host.create({ classes: squareClasses, backbone: 'convnext_test', imageSize, threads: 1 });
    const ipcMain = {
      handle: (_: string, listener: (event: IpcMainInvokeEvent, ...args: unknown[]) => unknown) => {
        const frame = { url: 'file:///app/page/index.html', parent: null };
        const event = { sender: { id: 1, once: () => {} }, senderFrame: frame };
        invoke = async (_, request) => listener(event, request);
      },
      removeHandler: () => {},
    };
    await serveWindows(detector, { electron: { ipcMain } });
    server = createServer(async ({ url }, response) => {
      const file = join(pageFolder, new URL(url!, 'http://x').pathname);
      response.setHeader('content-type', types[extname(file)] ?? 'text/plain');
      response.end(await readFile(file).catch(() => ''));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await host?.dispose();
    server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    page = await browser.newPage({ viewport: { width: 1180, height: 780 } });
    complaints = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    // Electron's bridge: the built preload script, with a `require` that knows Electron alone.
    await page.exposeFunction('invokeMain', (channel: string, request: unknown) => invoke(channel, request));
    const preload = createRequire(import.meta.url).resolve('dinov3-det/electron/preload');
    await page.addInitScript(`(function (require, exports) { ${await readFile(preload, 'utf8')} })((name) => {
      if (name !== 'electron') throw new Error('module not found: ' + name);
      const contextBridge = { exposeInMainWorld: (name, api) => { window[name] = api; } };
      return { contextBridge, ipcRenderer: { invoke: window.invokeMain } };
    }, {});`);
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/index.html`);
  });
  afterEach(async () => {
    await page.close();
    expect(complaints).toEqual([]);
  });

  /** Files and folders from a file manager, let go over the middle of the window. */
  async function drop(...paths: string[]): Promise<void> {
    const session = await page.context().newCDPSession(page);
    const data = { items: [], files: paths, dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
      await session.send('Input.dispatchDragEvent', { type, x: 500, y: 400, data });
    }
  }

  async function done(count: string): Promise<void> {
    await page
      .getByRole('status')
      .filter({ hasText: `Done: ${count}` })
      .waitFor();
  }

  const rows = () => page.getByRole('table').getByRole('row').allInnerTexts();
  const rowOf = ({ label, score, box }: Detection) =>
    [label, score.toFixed(2), `${Math.round(box.xmax - box.xmin)} × ${Math.round(box.ymax - box.ymin)}`].join('\t');

  /** Sets the slider below the score of the n-th detection, and gives those that are shown then. */
  async function showBest(found: readonly Detection[], n: number): Promise<Detection[]> {
    const threshold = (Math.floor(found[n - 1]!.score * 100 - 1e-9) / 100).toFixed(2);
    await page.getByRole('slider', { name: 'Score above' }).fill(threshold);
    return found.filter(({ score }) => score > Number(threshold));
  }

  /** The canvas, and the colour of a class: RGB. */
  async function pixels(label = '') {
    const { url, colour } = await page.evaluate((label) => {
      interface Canvas {
        toDataURL(): string;
        getContext(kind: '2d'): { getImageData(x: number, y: number, w: number, h: number): { data: number[] } };
      }
      const { swatch, document } = globalThis as unknown as {
        swatch(label: string): Canvas;
        document: { getElementById(id: string): Canvas };
      };
      const colour = [...swatch(label).getContext('2d').getImageData(5, 5, 1, 1).data].slice(0, 3);
      return { url: document.getElementById('canvas').toDataURL(), colour };
    }, label);
    const encoded = sharp(Buffer.from(url.split(',')[1]!, 'base64'))
      .removeAlpha()
      .raw();
    const { data, info } = await encoded.toBuffer({ resolveWithObject: true });
    const at = (x: number, y: number) => [...data.subarray(3 * (y * info.width + x), 3 * (y * info.width + x) + 3)];
    return { width: info.width, height: info.height, colour, at };
  }

  it('shows an image that is dropped, with its boxes where they belong', async () => {
    const image = await writeImage('a.png');
    const found = await detector.detect(image, least);
    await drop(image);
    await done('1 image');
    const shown = await showBest(found, 2);
    expect((await rows()).slice(1)).toEqual(shown.map(rowOf));
    const objects = shown.map(({ label, score }) => `${label} ${score.toFixed(2)}`).join(', ');
    const name = `a.png: ${shown.length} object${shown.length === 1 ? '' : 's'}: ${objects}`;
    await page.getByRole('img', { name, exact: true }).waitFor();

    const { label, box } = found[0]!; // drawn last: no other box over it
    const { width, height, colour, at } = await pixels(label);
    expect([width, height]).toEqual([WIDTH, HEIGHT]);
    const [left, top, right, bottom] = [box.xmin, box.ymin, box.xmax, box.ymax].map(Math.round) as [
      number,
      number,
      number,
      number,
    ];
    const isLine = (x: number, y: number) => at(x, y).every((value, i) => Math.abs(value - colour[i]!) < 60);
    const share = (points: [number, number][]) => points.filter(([x, y]) => isLine(x, y)).length / points.length;
    const along = (from: number, to: number) => Array.from({ length: to - from - 8 }, (_, i) => from + 4 + i);
    const downwards = along(top, bottom);
    const rightwards = along(left, right);
    // Labels may hide a part of the upper half.
    expect(share(downwards.map((y) => [Math.max(left, 0) + 1, y]))).toBeGreaterThan(0.5);
    expect(share(downwards.map((y) => [Math.min(right, WIDTH) - 1, y]))).toBeGreaterThan(0.5);
    expect(share(rightwards.map((x) => [x, Math.min(bottom, HEIGHT) - 1]))).toBeGreaterThan(0.5);
    expect(share(rightwards.map((x) => [x, Math.round(bottom - (bottom - top) / 4)]))).toBeLessThan(0.2);
  });

  it('hides boxes below the threshold, by mouse or keyboard, without asking anew', async () => {
    const image = await writeImage('a.png');
    const found = await detector.detect(image, least);
    await drop(image);
    await done('1 image');
    const slider = page.getByRole('slider', { name: 'Score above' });
    for (const threshold of ['0.05', '0.4', '0.6', '0.99']) {
      await slider.fill(threshold);
      expect((await rows()).slice(1)).toEqual(found.filter(({ score }) => score > Number(threshold)).map(rowOf));
      expect(await page.locator('#threshold-value').textContent()).toBe(Number(threshold).toFixed(2));
    }
    const { at } = await pixels();
    expect([at(2, 2), at(150, 20), at(60, 70), at(210, 120)]).toEqual([grey, grey, [255, 0, 0], [0, 0, 255]]);
    await slider.focus();
    await page.keyboard.press('Home');
    expect(await rows()).toHaveLength(1 + found.length);
    await page.keyboard.press('ArrowRight');
    expect(await slider.inputValue()).toBe('0.06');
  });

  it('saves what is shown as JSON', async () => {
    const images = [await writeImage('a.png'), await writeImage('b.png', 20)];
    const found = await Promise.all(images.map((image) => detector.detect(image, least)));
    await drop(...images);
    await done('2 images');
    await page.getByRole('slider').fill('0.5');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save JSON' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('detections.json');
    expect(JSON.parse(await readFile(await download.path(), 'utf8'))).toEqual(
      ['a.png', 'b.png'].map((file, i) => ({
        file,
        width: WIDTH,
        height: HEIGHT,
        detections: found[i]!.filter(({ score }) => score > 0.5),
      })),
    );
  });

  it('says what is wrong with a broken image, and goes on', async () => {
    const broken = join(folder, 'broken <b>.png');
    await writeFile(broken, (await readFile(await writeImage('a.png'))).subarray(0, 150));
    await drop(broken, join(folder, 'a.png'));
    await done('2 images, 1 could not be read');
    expect(await page.getByRole('alert').textContent()).toMatch(/^Cannot read broken <b>\.png: /);
    expect(await page.getByRole('img').count()).toBe(0);
    expect(await page.getByRole('button', { name: 'broken <b>.png error' }).getAttribute('aria-current')).toBe('true');
    await page.getByRole('button', { name: /^a\.png/ }).click();
    await page.getByRole('img', { name: /^a\.png: \d+ objects/ }).waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
  });

  it('looks into folders, and leaves out what is no image', async () => {
    await mkdir(join(folder, 'album', 'deeper'), { recursive: true });
    await writeImage('album/one.png');
    await writeImage('album/deeper/two.png', 10);
    await writeFile(join(folder, 'album', 'notes.txt'), 'no image');
    await writeFile(join(folder, 'album', 'deeper', 'empty.png'), '');
    await drop(join(folder, 'album'));
    await done('3 images, 1 could not be read');
    const names = await page.getByRole('navigation', { name: 'Images' }).getByRole('button').allInnerTexts();
    expect(names.map((text) => text.split('\n')[0]).sort()).toEqual([
      'album/deeper/empty.png',
      'album/deeper/two.png',
      'album/one.png',
    ]);
    await page.getByRole('button', { name: 'Clear' }).click();
    await page.getByText('Drop images or a folder here').waitFor();
    expect(await page.getByRole('navigation').getByRole('button').count()).toBe(0);
    expect(await page.getByRole('button', { name: 'Save JSON' }).isDisabled()).toBe(true);
  });

  it('can be used with the keyboard and a screen reader', async () => {
    const images = [await writeImage('a.png'), await writeImage('b.png', 20)];
    await page.keyboard.press('Tab');
    expect(await page.locator(':focus').innerText()).toBe('Add images');
    const choosing = page.waitForEvent('filechooser');
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 200))); // until choosers are told to Playwright
    await page.keyboard.press('Enter');
    await (await choosing).setFiles(images);
    await done('2 images');
    for (const role of ['banner', 'navigation', 'main', 'complementary', 'contentinfo'] as const) {
      expect(await page.getByRole(role).count()).toBe(1);
    }
    const order: string[] = [];
    for (let i = 0; i < 6; i++) {
      await page.keyboard.press('Tab');
      const focused = page.locator(':focus');
      order.push((await focused.getAttribute('aria-label')) ?? ((await focused.innerText()) || 'slider'));
    }
    expect(order.map((text) => text.split('\n')[0])).toEqual([
      'Add a folder',
      'Clear',
      'Save JSON',
      'a.png',
      'b.png',
      'slider',
    ]);
    await page.getByRole('button', { name: /^a\.png/ }).focus();
    await page.keyboard.press('ArrowDown');
    await page.getByRole('img', { name: /^b\.png: / }).waitFor();
    expect(await page.locator(':focus').innerText()).toContain('b.png');
    expect(await page.locator('[aria-current]').count()).toBe(1);
    const unnamed = await page.getByRole('button', { name: /^$/ }).count();
    expect(unnamed).toBe(0);
  });

  it('describes the model, and runs no script but its own', async () => {
    await page.getByText(/^2 classes, 96 × 64, cpu$/).waitFor();
    const ran = await page.evaluate(async () => {
      const { document, window } = globalThis as unknown as {
        document: { createElement(name: string): { textContent: string }; body: { append(node: unknown): void } };
        window: Record<string, unknown>;
      };
      const script = document.createElement('script');
      script.textContent = 'window.ranInline = true';
      document.body.append(script);
      return { inline: window.ranInline ?? false, bridge: Object.keys(window.dinov3Detector as object) };
    });
    expect(ran).toEqual({ inline: false, bridge: ['describe', 'detect', 'annotate', 'abort'] });
    expect(complaints).toEqual([expect.stringContaining('Content Security Policy')]);
    complaints = [];
  });
});
