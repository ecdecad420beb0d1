/// <reference types="node" preserve="true" />
export { analyzeDataset } from './analysis/analyze-dataset.ts';
export type {
  AnalysisHooks,
  AnalysisOptions,
  ClassCount,
  DatasetAnalysis,
  DefaultBoxFit,
} from './analysis/dataset-analysis.ts';
export { writeAnalysisReport } from './analysis/report/report.ts';
export { DetectorError, type DetectorErrorCode } from './base/errors.ts';
export type { Box } from './boxes/box.ts';
export type { Detection, GroundTruth } from './boxes/detection.ts';
export {
  type Augmentation,
  type AugmentationName,
  type AugmentationOptions,
  augmentationNames,
  ssdAugmentation,
} from './data/augment/options.ts';
export { Dataset, type ObjectInput, type Sample, type SampleInput } from './data/dataset.ts';
export { type DatasetConfig, loadDatasetConfig } from './data/dataset-config.ts';
export { type DatasetIssue, formatIssues } from './data/dataset-issue.ts';
export { type PreviewOptions, previewAugmentation } from './data/preview.ts';
export type { DatasetSource } from './data/read-samples.ts';
export { VocDataset, type VocDatasetOptions } from './data/voc-dataset.ts';
export type { ComputeOptions, Precision } from './detector/compute-options.ts';
export type { DetectOptions } from './detector/detect-options.ts';
export { Detector } from './detector/detector.ts';
export type { DetectorOptions, LoadOptions } from './detector/detector-options.ts';
export {
  type ExportFormat,
  type ExportOptions,
  type ExportPart,
  type ExportReport,
  exportDetector,
} from './detector/export.ts';
export type { WeightReport } from './detector/model-state.ts';
export type { ModelSummary, SummaryRow } from './detector/summary.ts';
export {
  type AreaScores,
  averagePrecisionByArea,
  type CocoOptions,
  type CocoResult,
  cocoAveragePrecision,
  type EvaluatedImage,
  torchmetricsMeanAveragePrecision,
} from './evaluation/average-precision.ts';
export {
  type ClassEvaluation,
  type EvaluationHooks,
  type EvaluationResult,
  Evaluator,
  type EvaluatorOptions,
  type SizeEvaluation,
} from './evaluation/evaluator.ts';
export { type VocOptions, type VocResult, vocAveragePrecision } from './evaluation/voc-average-precision.ts';
export type { AnnotateOptions } from './images/draw.ts';
export type { ImageInput, RgbImage } from './images/image.ts';
export { type BackboneName, backboneNames, type DetectorConfig, type PresetName, presetNames } from './model/config.ts';
export type { HeadName } from './model/detection-head.ts';
export type { Features, Fusion } from './model/feature-pyramid.ts';
export type { AssignerName, BoxLossName, ClassLossName, LossOptions } from './model/loss-options.ts';
export type { NmsName } from './model/postprocess-options.ts';
export type { ScheduleName } from './training/learning-rate.ts';
export { Trainer } from './training/trainer.ts';
export type { OptimizerName, RunOptions, TrainerOptions } from './training/trainer-options.ts';
export type { EpochEvent, StartEvent, StepEvent, TrainingHooks, TrainingResult } from './training/training-events.ts';
export type { VideoFrame, VideoOptions, VideoSummary } from './video/options.ts';
export type { VideoInfo } from './video/probe.ts';
export type { VideoDetection } from './video/tracker.ts';
