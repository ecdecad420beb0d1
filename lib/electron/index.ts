export { DetectorError, type DetectorErrorCode } from '../base/errors.ts';
export type { CallOptions } from '../base/signal.ts';
export type { Detection } from '../boxes/detection.ts';
export type { DetectOptions } from '../detector/detect-options.ts';
export type { DetectorOptions, LoadOptions } from '../detector/detector-options.ts';
export type { SummaryOptions } from '../detector/summary.ts';
export type { AnnotateOptions } from '../images/draw.ts';
export type { ImageInput } from '../images/image.ts';
export type { OnnxLoadOptions } from '../inference/onnx-detector.ts';
export type {
  ElectronMain,
  IpcMain,
  IpcMainInvokeEvent,
  UtilityProcess,
  WebContents,
  WebFrame,
} from './electron.ts';
export {
  createDetectorHost,
  type DetectorHost,
  type DetectorHostOptions,
  type RestartPolicy,
} from './host.ts';
export type { HostedDetector } from './hosted-detector.ts';
export type { DetectorDescription } from './protocol.ts';
export { preloadPath, serveWindows, type WindowAccess } from './windows.ts';
