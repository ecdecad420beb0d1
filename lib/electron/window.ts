import { DetectorError } from '../base/errors.ts';
import type { Detection } from '../boxes/detection.ts';
import type { ImageInput } from '../images/image.ts';
import type { BridgeReply, DetectorBridge, PageAnnotateOptions, PageDescription, PageDetectOptions } from './bridge.ts';

export type { BridgeReply, DetectorBridge, PageAnnotateOptions, PageDescription, PageDetectOptions } from './bridge.ts';

/** Options that every call of a page takes. */
export interface PageCallOptions {
  /**
   * Aborting this signal makes the call reject with the signal's reason.
   * @default none
   */
  signal?: AbortSignal;
}

/** A detector for pages, with the interface of `Detector`. Errors keep their class, and calls take an `AbortSignal`. */
export interface PageDetector {
  describe(): Promise<PageDescription>;
  detect(image: ImageInput, options?: PageDetectOptions & PageCallOptions): Promise<Detection[]>;
  detect(images: readonly ImageInput[], options?: PageDetectOptions & PageCallOptions): Promise<Detection[][]>;
  annotate(
    image: ImageInput,
    detections?: readonly Detection[],
    options?: PageAnnotateOptions & PageCallOptions,
  ): Promise<Uint8Array>;
}

let lastCall = 0;

/** Wraps `window.dinov3Detector` of the preload script, for pages. It uses nothing of Node.js. */
export function connectDetector(
  bridge: DetectorBridge = (globalThis as unknown as { dinov3Detector: DetectorBridge }).dinov3Detector,
): PageDetector {
  return {
    describe: async () => unwrap(await bridge.describe()),
    detect: async (images: ImageInput | readonly ImageInput[], options: PageDetectOptions & PageCallOptions = {}) => {
      const { signal, ...given } = options;
      return abortable(bridge, signal, (id) => bridge.detect(images, given, id)) as Promise<never>;
    },
    annotate: async (image, detections, options = {}) => {
      const { signal, ...given } = options;
      return abortable(bridge, signal, (id) => bridge.annotate(image, detections, given, id));
    },
  };
}

/** Makes a call abortable. An `AbortSignal` cannot be sent to the main process, but the call's id can. */
async function abortable<T>(
  bridge: DetectorBridge,
  signal: AbortSignal | undefined,
  ask: (callId: string) => Promise<BridgeReply<T>>,
): Promise<T> {
  signal?.throwIfAborted();
  const id = `window-${++lastCall}`;
  const onAbort = () => void bridge.abort(id);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const reply = await ask(id);
    signal?.throwIfAborted();
    return unwrap(reply);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

function unwrap<T>(reply: BridgeReply<T>): T {
  if (reply.ok) return reply.value;
  const { name, message, code } = reply.error;
  if (code !== undefined) throw new DetectorError(code, message);
  throw new (name === 'TypeError' ? TypeError : name === 'RangeError' ? RangeError : Error)(message);
}
