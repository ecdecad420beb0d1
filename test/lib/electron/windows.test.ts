import { readFileSync } from 'node:fs';
import { mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorBridge } from '../../../lib/electron/bridge.ts';
import type { IpcMainInvokeEvent, WebFrame } from '../../../lib/electron/electron.ts';
import type { DetectorHost } from '../../../lib/electron/host.ts';
import type { HostedDetector } from '../../../lib/electron/hosted-detector.ts';
import { connectDetector } from '../../../lib/electron/window.ts';
import { serveWindows, type WindowAccess } from '../../../lib/electron/windows.ts';
import { squareClasses } from '../../support/squares.ts';
import { expectError, noise } from '../../support/voc.ts';
import { hostOn } from './services.ts';

type Handler = (event: IpcMainInvokeEvent, ...args: unknown[]) => Promise<unknown>;

/** Electron's ipc between a main process and one window: messages are cloned both ways. */
class FakeElectron {
  readonly handlers = new Map<string, Handler>();
  readonly destroyed: (() => void)[] = [];
  frame: WebFrame | null = { url: 'file:///app/index.html', parent: null };
  readonly ipcMain = {
    handle: (channel: string, handler: Handler) => void this.handlers.set(channel, handler),
    removeHandler: (channel: string) => void this.handlers.delete(channel),
  };

  readonly invoke = async (channel: string, ...args: unknown[]): Promise<unknown> => {
    const handler = this.handlers.get(channel);
    if (!handler) throw new Error(`No handler registered for '${channel}'`);
    const once = (_: 'destroyed', listener: () => void) => void this.destroyed.push(listener);
    const event = { sender: { id: 1, once }, senderFrame: this.frame };
    return structuredClone(await handler(event, ...structuredClone(args)));
  };

  /** What the preload script gives to the page; the script is the built one, with nothing to `require` but Electron. */
  bridge(): DetectorBridge {
    const file = createRequire(import.meta.url).resolve('dinov3-det/electron/preload');
    const exposed: Record<string, unknown> = {};
    const contextBridge = {
      exposeInMainWorld: (name: string, api: unknown) => Object.assign(exposed, { [name]: api }),
    };
    const require = (name: string) => {
      if (name === 'electron') return { contextBridge, ipcRenderer: { invoke: this.invoke } };
      throw new Error(`module not found: ${name}`);
    };
    new Function('require', 'exports', readFileSync(file, 'utf8'))(require, {});
    expect(Object.keys(exposed)).toEqual(['dinov3Detector']);
    return exposed.dinov3Detector as DetectorBridge;
  }
}

const all = { scoreThreshold: 0, maxDetections: 5 };
let folder: string;
let image: string;
let bytes: Uint8Array;
let here: Detector;
let host: DetectorHost;
let detector: HostedDetector;
let stop = () => {};

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'dinov3-det-test-')));
  image = join(folder, 'image.png');
  bytes = new Uint8Array(await noise(60, 40).png().toBuffer());
  await writeFile(image, bytes);
  const options = { classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 64, height: 64 } } as const;
  here = await Detector.create(options);
  ({ host } = hostOn('a worker thread'));
  detector = await host.create(options);
});
afterAll(async () => {
  await host.dispose();
  here.dispose();
  await rm(folder, { recursive: true, force: true });
});
afterEach(() => stop());

async function openWindow(access: WindowAccess = {}) {
  const electron = new FakeElectron();
  stop = await serveWindows(detector, { ...access, electron });
  const bridge = electron.bridge();
  return { electron, bridge, page: connectDetector(bridge) };
}

describe('a page', () => {
  it('gets what a Detector gives, of bytes and pixels, one or several', async () => {
    const { page } = await openWindow();
    expect(await page.describe()).toEqual({
      classes: squareClasses,
      device: 'cpu',
      precision: here.precision,
      imageSize: { width: 64, height: 64 },
    });
    const pixels = { data: new Uint8Array(30 * 20 * 3).fill(90), width: 30, height: 20 };
    const found = await page.detect(bytes, all);
    expect(found).toEqual(await here.detect(bytes, all));
    expect(await page.detect([bytes, pixels], all)).toEqual(await here.detect([bytes, pixels], all));
    const drawn = await page.annotate(bytes, found, { format: 'png' });
    expect(Buffer.from(drawn).equals(await here.annotate(bytes, found, { format: 'png' }))).toBe(true);
    expect(Buffer.from(await page.annotate(bytes)).equals(await here.annotate(bytes))).toBe(true);
  });

  it('gets errors of their own classes', async () => {
    const { page, bridge } = await openWindow();
    await expectError(page.detect(bytes.subarray(0, 100)), 'IMAGE_UNREADABLE', 'image buffer');
    await expectError(page.detect(new Uint8Array(4)), 'IMAGE_UNSUPPORTED');
    await expect(page.detect(bytes, { scoreThreshold: 2 })).rejects.toThrow(RangeError);
    await expect(page.detect(bytes, { scoreThreshold: '0' } as never)).rejects.toThrow(TypeError);
    expect(await bridge.detect(new Uint8Array(0))).toEqual({
      ok: false,
      error: {
        name: 'DetectorError',
        code: 'IMAGE_UNREADABLE',
        message: 'Cannot read the image buffer: it is empty (0 bytes)',
      },
    });
  });

  it('gives up its own calls', async () => {
    const { page, bridge } = await openWindow();
    const controller = new AbortController();
    const images = Array.from({ length: 60 }, () => bytes);
    const call = page.detect(images, { ...all, signal: controller.signal });
    const other = page.detect(images, all);
    controller.abort(new Error('not this one'));
    await expect(call).rejects.toThrow('not this one');
    expect(await other).toHaveLength(60);
    await expect(page.detect(bytes, { signal: controller.signal })).rejects.toThrow('not this one');
    expect(await bridge.abort('of nobody')).toEqual({ ok: true, value: undefined });
  });

  it('that is closed gives up all of them', async () => {
    const { electron, page } = await openWindow();
    const call = page.detect(
      Array.from({ length: 60 }, () => bytes),
      all,
    );
    await page.describe();
    const rejected = expect(call).rejects.toThrow('aborted');
    for (const listener of electron.destroyed) listener();
    await rejected;
    expect(electron.destroyed).toHaveLength(1);
  });
});

describe('a page that is not trusted', () => {
  it.each([
    ['of the web', { url: 'https://example.org/', parent: null }],
    ['that looks like a file', { url: 'https://file:x@example.org/', parent: null }],
    ['in a frame', { url: 'file:///app/frame.html', parent: { url: 'file:///app/index.html', parent: null } }],
    ['that is gone', null],
  ])('%s gets nothing', async (_, frame) => {
    const { electron, page } = await openWindow();
    electron.frame = frame;
    for (const call of [() => page.describe(), () => page.detect(bytes), () => page.annotate(bytes)]) {
      await expect(call()).rejects.toThrow('may not use the detector. Allow it with');
    }
  });

  it('is another one when the app says so', async () => {
    const { electron, page } = await openWindow({ allowPage: (url) => url === 'app://main/index.html' });
    await expect(page.describe()).rejects.toThrow('file:///app/index.html');
    electron.frame = { url: 'app://main/index.html', parent: null };
    expect((await page.describe()).device).toBe('cpu');
  });

  it('cannot name files, and learns nothing of the disk', async () => {
    const { page } = await openWindow();
    const answers = await Promise.all(
      [image, join(folder, 'none.png')].map((path) => page.detect(path).catch(({ message }) => message)),
    );
    expect(answers[0]).toBe(`The page may not read ${JSON.stringify(image)}. Send the bytes of the image`);
    expect(answers[1].replace('none.png', 'image.png')).toBe(answers[0]);
  });

  it('names the files that the app allows, and nothing through links or dots', async () => {
    const open = join(folder, 'open');
    await rm(open, { recursive: true, force: true });
    const allowed: string[] = [];
    const { page } = await openWindow({ allowPath: (path) => allowed.push(path) > 0 && path === image });
    expect(await page.detect(image, all)).toEqual(await here.detect(image, all));
    await symlink('/etc/hostname', open);
    await expectError(page.detect(open), 'IMAGE_UNREADABLE', 'may not read');
    await expectError(page.detect(`${folder}/../../etc/hostname`), 'IMAGE_UNREADABLE', 'may not read');
    expect(await page.detect(`${folder}/./image.png`, all)).toHaveLength(5);
    expect(allowed.filter((path) => path !== image && path !== '/etc/hostname')).toEqual([]);
  });

  const ownProto = JSON.parse('{"__proto__": {"scoreThreshold": 0}}');
  it.each<[string, unknown]>([
    ['no message', undefined],
    ['null', null],
    ['a string', 'detect'],
    ['another method', { method: 'load', images: '/tmp' }],
    ['a method of objects', { method: 'constructor' }],
    ['a method in a list', { method: ['detect'] }],
    ['more than is known', { method: 'detect', images: new Uint8Array(1), detector: 1 }],
    ['a prototype', { method: 'detect', images: new Uint8Array(1), options: ownProto }],
    ['a prototype of the request', JSON.parse('{"method": "describe", "__proto__": {}}')],
    ['no image', { method: 'detect' }],
    ['a number for an image', { method: 'detect', images: 7 }],
    ['another array for an image', { method: 'detect', images: new Float32Array(3) }],
    ['a list of lists', { method: 'detect', images: [[new Uint8Array(1)]] }],
    ['a list to draw', { method: 'annotate', images: [new Uint8Array(1)] }],
    ['pixels that are none', { method: 'detect', images: { data: [1, 2, 3], width: 1, height: 1 } }],
    ['too few pixels', { method: 'detect', images: { data: new Uint8Array(3), width: 9, height: 9 } }],
    ['no size', { method: 'detect', images: { data: new Uint8Array(3), width: Number.NaN, height: 1 } }],
    ['too many images', { method: 'detect', images: Array.from({ length: 65 }, () => new Uint8Array(1)) }],
    ['too many detections', { method: 'detect', images: new Uint8Array(1), options: { maxDetections: 1e6 } }],
    ['a signal', { method: 'detect', images: new Uint8Array(1), options: { signal: {} } }],
    ['batches', { method: 'detect', images: new Uint8Array(1), options: { batchSize: 1024 } }],
    ['no options', { method: 'detect', images: new Uint8Array(1), options: 'all' }],
    ['a callId that is none', { method: 'detect', images: new Uint8Array(1), callId: {} }],
    ['a long callId', { method: 'detect', images: new Uint8Array(1), callId: 'x'.repeat(1e6) }],
    ['detections that are none', { method: 'annotate', images: new Uint8Array(1), detections: {} }],
    [
      'a box that is none',
      { method: 'annotate', images: new Uint8Array(1), detections: [{ label: 'a', score: 1, box: [1] }] },
    ],
    ['a map', new Map([['method', 'describe']])],
  ])('%s is refused with a message', async (_, request) => {
    const { electron } = await openWindow();
    const reply = (await electron.invoke('dinov3-det', request)) as {
      ok: boolean;
      error: { name: string; message: string };
    };
    expect(reply.ok).toBe(false);
    expect(['TypeError', 'RangeError', 'DetectorError']).toContain(reply.error.name);
    expect(reply.error.message.length).toBeGreaterThan(10);
    expect(reply.error.message.length).toBeLessThan(600);
    expect(reply.error.message).not.toContain('[object Object]');
    expect(reply.error).not.toHaveProperty('stack');
  });

  it('cannot pile up calls, nor use a name twice', async () => {
    const { page, bridge } = await openWindow();
    const calls = Array.from({ length: 32 }, () => page.detect([bytes], all));
    await expect(page.detect(bytes)).rejects.toThrow('A page may have at most 32 running calls');
    expect(await Promise.all(calls)).toHaveLength(32);
    const first = bridge.detect(bytes, all, 'same');
    expect(await bridge.detect(bytes, all, 'same')).toMatchObject({ ok: false, error: { name: 'RangeError' } });
    expect(await first).toMatchObject({ ok: true });
    expect(await bridge.detect(bytes, all, 'same')).toMatchObject({ ok: true });
  });
});

describe('serveWindows', () => {
  it('refuses what is no detector of a host, and unknown options', async () => {
    await expect(serveWindows(here as never)).rejects.toThrow('Expected detector of createDetectorHost for detector');
    await expect(serveWindows(detector, { alowPage: () => true } as never)).rejects.toThrow('did you mean "allowPage"');
    await expect(serveWindows(detector, { allowPath: folder } as never)).rejects.toThrow('function for allowPath');
    await expect(serveWindows(detector)).rejects.toThrow('This needs Electron');
  });

  it('ends with the function that it gave', async () => {
    const { electron, page } = await openWindow();
    await page.describe();
    stop();
    await expect(page.describe()).rejects.toThrow('No handler registered');
    expect(electron.handlers.size).toBe(0);
  });
});
