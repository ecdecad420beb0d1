import type { Detection } from '../boxes/detection.ts';
import type { DetectOptions } from '../detector/detect-options.ts';
import type { AnnotateOptions } from '../images/draw.ts';
import type { ImageInput } from '../images/image.ts';
import type { DetectorDescription, PlainError } from './protocol.ts';

/** The calls of a page. A page cannot load, save or free a detector. */
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
  /** Aborts the call that was made with this `callId`, a string of the page's choice. */
  abort(callId: string): Promise<BridgeReply<undefined>>;
}

/** A reply to a page. Errors travel as data, because Electron itself keeps only their message. */
export type BridgeReply<T> = { ok: true; value: T } | { ok: false; error: Omit<PlainError, 'stack'> };

/** The properties of the detector that a page may know: class names, image size in pixels, device and precision. */
export type PageDescription = Pick<DetectorDescription, 'classes' | 'device' | 'precision'> &
  Pick<DetectorDescription['config'], 'imageSize'>;

/** The options of a detection that a page may set; see `DetectOptions`. */
export type PageDetectOptions = Pick<DetectOptions, 'scoreThreshold' | 'maxDetections' | 'autoOrient'>;

/** The options of a drawing that a page may set; see `AnnotateOptions`. */
export type PageAnnotateOptions = Omit<AnnotateOptions, 'signal'>;

/** A call as the preload script sends it to the main process, which trusts nothing in it. */
export interface BridgeRequest {
  method: keyof DetectorBridge;
  callId?: string | undefined;
  images?: unknown;
  detections?: unknown;
  options?: unknown;
}
