/**
 * The kind of a failure, for programs. docs/troubleshooting.md has a section for each code. The message is for people: it names the thing,
 * what was found, and the remedy.
 */
export type DetectorErrorCode =
  | 'LIBTORCH_NOT_FOUND'
  | 'LIBTORCH_INSTALL_FAILED'
  | 'LIBTORCH_INCOMPATIBLE'
  | 'ADDON_LOAD_FAILED'
  | 'CONFIG_INVALID'
  | 'DATASET_EMPTY'
  | 'DATASET_NOT_FOUND'
  | 'IMAGE_UNREADABLE'
  | 'IMAGE_UNSUPPORTED'
  | 'IMAGE_TOO_LARGE'
  | 'FFMPEG_NOT_FOUND'
  | 'FFMPEG_FAILED'
  | 'VIDEO_UNREADABLE'
  | 'VIDEO_STALLED'
  | 'ANNOTATION_INVALID'
  | 'WEIGHTS_NOT_FOUND'
  | 'WEIGHTS_INVALID'
  | 'WEIGHTS_MISMATCH'
  | 'TORCHSCRIPT_REFUSED'
  | 'ONNX_INVALID'
  | 'ONNX_RUNTIME_NOT_FOUND'
  | 'ONNX_RUNTIME_FAILED'
  | 'CHECKPOINT_NOT_FOUND'
  | 'CHECKPOINT_CORRUPT'
  | 'CHECKPOINT_MISMATCH'
  | 'OUTPUT_NOT_WRITABLE'
  | 'IO_ERROR'
  | 'IN_USE'
  | 'DEVICE_UNAVAILABLE'
  | 'LOSS_NOT_FINITE'
  | 'OUT_OF_MEMORY'
  | 'DISPOSED'
  | 'PROCESS_ENDED'
  | 'NATIVE_ERROR';

/** The error for every failure except a wrong argument (`TypeError`, `RangeError`) and the caller's own abort reason. */
export class DetectorError extends Error {
  override readonly name = 'DetectorError';
  /** The kind of the failure. It stays the same when the wording of the message changes. */
  readonly code: DetectorErrorCode;

  constructor(code: DetectorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
