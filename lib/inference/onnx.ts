/// <reference types="node" preserve="true" />
export { DetectorError, type DetectorErrorCode } from '../base/errors.ts';
export type { Box, Size } from '../boxes/box.ts';
export type { Detection } from '../boxes/detection.ts';
export type { DetectOptions } from '../detector/detect-options.ts';
export type { AnnotateOptions } from '../images/draw.ts';
export type { ImageInput, RgbImage } from '../images/image.ts';
export type { VideoFrame, VideoOptions } from '../video/options.ts';
export { OnnxDetector, type OnnxLoadOptions } from './onnx-detector.ts';
