import type { Detection } from '../boxes/detection.ts';
import type { DetectOptions } from '../detector/detect-options.ts';
import type { AnnotateOptions } from '../images/draw.ts';
import type { ImageInput } from '../images/image.ts';
import type { DetectorDescription, PlainError } from './protocol.ts';

/** What a page can ask for, and no more: nothing is loaded, saved or freed from a page. */
export interface DetectorBridge {
  describe(): Promise<BridgeReply<PageDescription>>;
  detect(
    images: ImageInput | readonly ImageInput[],
    options?: PageDetectOptions,
    callId?: string,
  ): Promise<BridgeReply<Detection[] | Detection[][]>>;
  annotate(
    image: ImageInput,
    detections?: readonly Detection[],
    options?: PageAnnotateOptions,
    callId?: string,
  ): Promise<BridgeReply<Uint8Array>>;
  /** Gives up the call that was made with this `callId`: any string of the page's own. */
  abort(callId: string): Promise<BridgeReply<undefined>>;
}

/** Errors travel as data: Electron's own way keeps their message only. */
export type BridgeReply<T> = { ok: true; value: T } | { ok: false; error: Omit<PlainError, 'stack'> };

/** What a page is told of the detector: class names, image size in pixels, device and precision. */
export type PageDescription = Pick<DetectorDescription, 'classes' | 'device' | 'precision'> &
  Pick<DetectorDescription['config'], 'imageSize'>;

/** What a page may choose for a detection; see `DetectOptions`. */
export type PageDetectOptions = Pick<DetectOptions, 'scoreThreshold' | 'maxDetections' | 'autoOrient'>;

/** How a drawing for a page is encoded; see `AnnotateOptions`. */
export type PageAnnotateOptions = Omit<AnnotateOptions, 'signal'>;

/** A call as the preload script sends it to the main process; nothing in it is trusted there. */
export interface BridgeRequest {
  method: keyof DetectorBridge;
  callId?: string | undefined;
  images?: unknown;
  detections?: unknown;
  options?: unknown;
}
