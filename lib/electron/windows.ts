import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { checkFunction, checkKeys, checkNumber, checkOneOf, checkString, wrongArgument } from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import { packageRoot } from '../base/package-files.ts';
import type { Detection } from '../boxes/detection.ts';
import type { ImageInput } from '../images/image.ts';
import type { BridgeReply, BridgeRequest, PageAnnotateOptions, PageDescription, PageDetectOptions } from './bridge.ts';
import { type ElectronMain, electronMain, type IpcMainInvokeEvent } from './electron.ts';
import { HostedDetector } from './hosted-detector.ts';
import { packError } from './protocol.ts';

/** The rules for pages: which pages may call the detector, and which files they may name. */
export interface WindowAccess {
  /**
   * Decides whether the page at this URL may use the detector. Frames inside a page never may. Do not allow pages that show untrusted
   * content.
   * @default pages of `file:` only
   */
  allowPage?: (url: string) => boolean;
  /**
   * Decides whether a page may name this image file, an absolute path without symbolic links. Otherwise pages must send the bytes of
   * images, or their pixels.
   * @default never
   */
  allowPath?: (path: string) => boolean;
  /**
   * The `electron` module.
   * @default the module of this process
   */
  electron?: Pick<ElectronMain, 'ipcMain'>;
}

/** The path of the preload script for `webPreferences.preload`. You can also bundle it into your own script. */
export const preloadPath = join(packageRoot, 'dist', 'electron', 'preload.cjs');

const CHANNEL = 'dinov3-det';

/** The limits of a page, so that it cannot fill the memory of the app. They are far above normal use. */
const MAX_CALLS = 32;
const MAX_IMAGES = 64;
const MAX_DETECTIONS = 10_000;
const MAX_TEXT = 256;

const requestKeys = ['method', 'callId', 'images', 'detections', 'options'] satisfies (keyof BridgeRequest)[];
const bridgeMethods = ['describe', 'detect', 'annotate', 'abort'] as const;
const detectKeys = ['scoreThreshold', 'maxDetections', 'autoOrient'] satisfies (keyof PageDetectOptions)[];

/**
 * Lets the pages of windows with the preload script use a detector, through one IPC channel. Every message is checked here. A page may
 * detect and draw objects in its own images, and abort its own calls.
 *
 * Resolves with a function that removes the channel.
 * @throws {TypeError} for a wrong argument, or outside of Electron
 */
export async function serveWindows(detector: HostedDetector, access: WindowAccess = {}): Promise<() => void> {
  if (!(detector instanceof HostedDetector)) {
    throw new TypeError(wrongArgument('detector', 'detector of createDetectorHost', detector));
  }
  const given = checkKeys('access', access, ['allowPage', 'allowPath', 'electron']) as WindowAccess;
  const allowPage = checkFunction('allowPage', given.allowPage ?? ((url: string) => url.startsWith('file:')));
  const allowPath = checkFunction('allowPath', given.allowPath ?? (() => false));
  const { ipcMain } = given.electron ?? (await electronMain('Outside of Electron, call the detector itself'));
  const calls = new PageCalls();
  ipcMain.handle(CHANNEL, async (event, request): Promise<BridgeReply<unknown>> => {
    try {
      checkSender(event, allowPage);
      return { ok: true, value: await answer({ detector, allowPath, calls }, event, request) };
    } catch (error) {
      const { stack: _, ...plain } = packError(error);
      return { ok: false, error: plain };
    }
  });
  return () => ipcMain.removeHandler(CHANNEL);
}

interface Service {
  detector: HostedDetector;
  allowPath: (path: string) => boolean;
  calls: PageCalls;
}

function checkSender({ senderFrame }: IpcMainInvokeEvent, allowPage: (url: string) => boolean): void {
  if (senderFrame !== null && senderFrame.parent === null && allowPage(senderFrame.url) === true) return;
  const url = senderFrame?.url ?? 'a frame that is gone';
  throw new TypeError(`The page ${url} may not use the detector. Allow it with serveWindows(detector, { allowPage })`);
}

async function answer({ detector, allowPath, calls }: Service, event: IpcMainInvokeEvent, request: unknown) {
  const { method, callId, images, detections, options } = checkKeys('request', request, requestKeys);
  const name = checkOneOf('method', method, bridgeMethods);
  if (name === 'describe') return describe(detector);
  const id = callId === undefined ? undefined : checkText('callId', callId);
  if (name === 'abort') return calls.abort(event.sender.id, id);
  return calls.run(event.sender, id, async (signal) => {
    const several = Array.isArray(images);
    const list: unknown[] = several && name === 'detect' ? images : [images];
    if (list.length > MAX_IMAGES)
      throw new RangeError(wrongArgument('images.length', `at most ${MAX_IMAGES}`, list.length));
    const checked = await Promise.all(list.map((image) => checkImage(image, allowPath)));
    if (name === 'detect') {
      const limits = checkKeys('options', options ?? {}, detectKeys) as PageDetectOptions;
      if ((limits.maxDetections ?? 0) > MAX_DETECTIONS) {
        throw new RangeError(wrongArgument('maxDetections', `at most ${MAX_DETECTIONS}`, limits.maxDetections));
      }
      return detector.detect(several ? checked : (checked[0] as never), { ...limits, signal });
    }
    const style = checkKeys('options', options ?? {}, ['format', 'quality']) as PageAnnotateOptions;
    const known = detections === undefined ? undefined : checkDetections(detections);
    return detector.annotate(checked[0]!, known, { ...style, signal });
  });
}

function describe({ classes, config, device, precision }: HostedDetector): PageDescription {
  return { classes, device, precision, imageSize: config.imageSize };
}

/** Checks an image. The result is a new object of checked values, without anything made by the page. */
async function checkImage(image: unknown, allowPath: Service['allowPath']): Promise<ImageInput> {
  if (typeof image === 'string') return checkPath(image, allowPath);
  if (image instanceof Uint8Array) return image;
  const { data, width, height } = checkKeys('image', image, ['data', 'width', 'height']);
  if (!(data instanceof Uint8Array)) throw new TypeError(wrongArgument('image.data', 'Uint8Array', data));
  return { data, width: checkNumber('image.width', width, 1), height: checkNumber('image.height', height, 1) };
}

/** Checks a path. The answer does not depend on the file's existence, so a page learns nothing about the disk. */
async function checkPath(path: string, allowPath: Service['allowPath']): Promise<string> {
  const real = await realpath(path).catch(() => undefined);
  if (real !== undefined && allowPath(real) === true) return real;
  throw new DetectorError(
    'IMAGE_UNREADABLE',
    `The page may not read ${JSON.stringify(path.slice(0, MAX_TEXT))}. Send the bytes of the image`,
  );
}

function checkDetections(value: unknown): Detection[] {
  if (!Array.isArray(value)) throw new TypeError(wrongArgument('detections', 'array', value));
  if (value.length > MAX_DETECTIONS) {
    throw new RangeError(wrongArgument('detections.length', `at most ${MAX_DETECTIONS}`, value.length));
  }
  return value.map((each) => {
    const { label, score, box } = checkKeys('detection', each, ['label', 'score', 'box']);
    const sides = checkKeys('box', box, ['xmin', 'ymin', 'xmax', 'ymax']);
    const side = (key: string) => checkNumber(`box.${key}`, sides[key], Number.NEGATIVE_INFINITY);
    return {
      label: checkText('label', label),
      score: checkNumber('score', score, 0, 1),
      box: { xmin: side('xmin'), ymin: side('ymin'), xmax: side('xmax'), ymax: side('ymax') },
    };
  });
}

function checkText(name: string, value: unknown): string {
  const text = checkString(name, value);
  if (text.length > MAX_TEXT) throw new RangeError(wrongArgument(`${name}.length`, `at most ${MAX_TEXT}`, text.length));
  return text;
}

/** The running calls of each page, by the page's ids. */
class PageCalls {
  readonly #pages = new Map<number, Map<string | symbol, AbortController>>();

  async run<T>(
    sender: IpcMainInvokeEvent['sender'],
    id: string | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const calls = this.#callsOf(sender);
    const key = id ?? Symbol('unnamed');
    if (calls.has(key)) throw new RangeError(`The callId ${JSON.stringify(id)} is in use. Name another`);
    if (calls.size >= MAX_CALLS)
      throw new RangeError(`A page may have at most ${MAX_CALLS} running calls. Wait for one to end`);
    const controller = new AbortController();
    calls.set(key, controller);
    try {
      return await work(controller.signal);
    } finally {
      calls.delete(key);
    }
  }

  abort(page: number, id: string | undefined): undefined {
    if (id !== undefined) this.#pages.get(page)?.get(id)?.abort();
    return undefined;
  }

  /** The calls of a page. They are aborted when the page is closed. */
  #callsOf(sender: IpcMainInvokeEvent['sender']): Map<string | symbol, AbortController> {
    const known = this.#pages.get(sender.id);
    if (known) return known;
    const calls = new Map<string | symbol, AbortController>();
    this.#pages.set(sender.id, calls);
    sender.once('destroyed', () => {
      this.#pages.delete(sender.id);
      for (const controller of calls.values()) controller.abort();
    });
    return calls;
  }
}
