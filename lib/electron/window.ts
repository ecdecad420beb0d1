import { DetectorError } from '../base/errors.ts';
import type { Detection } from '../boxes/detection.ts';
import type { ImageInput } from '../images/image.ts';
import type { BridgeReply, DetectorBridge, PageAnnotateOptions, PageDescription, PageDetectOptions } from './bridge.ts';

export type { BridgeReply, DetectorBridge, PageAnnotateOptions, PageDescription, PageDetectOptions } from './bridge.ts';

/** How a call of a page is given up. */
export interface PageCallOptions {
  /** When it is aborted, the call rejects with its reason. */
  signal?: AbortSignal;
}

/** The detector as a page sees it: as `Detector`, with errors of their own classes and `AbortSignal`s. */
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

/** For pages: wraps what the preload script put at `window.dinov3Detector`. Uses nothing of Node.js. */
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

/** An `AbortSignal` cannot cross to the main process, its call's name can. */
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
