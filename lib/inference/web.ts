export { DetectorError, type DetectorErrorCode } from '../base/errors.ts';
export type { Box, Size } from '../boxes/box.ts';
export type { Detection } from '../boxes/detection.ts';
export type { DetectOptions } from '../detector/detect-options.ts';
export type { AnnotateOptions } from '../images/draw.ts';
export type { RgbImage } from '../images/image.ts';
export type { OnnxRuntime } from '../onnx/runtime.ts';
export { OnnxDetector, type WebLoadOptions } from './web-detector.ts';
export type { DrawableImage, WebImage } from './web-image.ts';
