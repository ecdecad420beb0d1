/// <reference types="node" preserve="true" />

export type { AnalysisHooks, AnalysisOptions } from './analysis/analysis-options.ts';
export { analyzeDataset } from './analysis/analyze-dataset.ts';
export type { ClassCount, DatasetAnalysis, DefaultBoxFit } from './analysis/dataset-analysis.ts';
export type { Coverage, CoverageRow } from './analysis/default-boxes/coverage.ts';
export type { Shape } from './analysis/default-boxes/k-means.ts';
export type { Distribution } from './analysis/distribution.ts';
export { writeAnalysisReport } from './analysis/report/report.ts';
export type { SuspiciousBox, SuspiciousKind } from './analysis/suspicious-boxes.ts';
export { DetectorError, type DetectorErrorCode } from './base/errors.ts';
export type { CallOptions } from './base/signal.ts';
export type { Box, Size } from './boxes/box.ts';
export type { Detection, GroundTruth } from './boxes/detection.ts';
export type { ResizeName } from './boxes/letterbox.ts';
export type { IouCrop, IouCropOptions } from './data/augment/iou-crop.ts';
export type { Range } from './data/augment/kinds.ts';
export type { Mixup, MixupOptions } from './data/augment/mixup.ts';
export type { Mosaic, MosaicOptions } from './data/augment/mosaic.ts';
export {
  type Augmentation,
  type AugmentationName,
  type AugmentationOptions,
  augmentationNames,
  ssdAugmentation,
} from './data/augment/options.ts';
export type { PhotometricDistort, PhotometricDistortOptions } from './data/augment/photometric-distort.ts';
export type { ScaleJitter, ScaleJitterOptions } from './data/augment/scale-jitter.ts';
export type { ZoomOut, ZoomOutOptions } from './data/augment/zoom-out.ts';
export { Dataset, type ObjectInput, type Sample, type SampleInput } from './data/dataset.ts';
export { type DatasetConfig, loadDatasetConfig } from './data/dataset-config.ts';
export type { DatasetCounts } from './data/dataset-counts.ts';
export { type DatasetIssue, type DatasetIssueKind, formatIssues } from './data/dataset-issue.ts';
export { openDataset } from './data/open-dataset.ts';
export type { OpenDatasetOptions, OpenedDataset } from './data/open-dataset-options.ts';
export type { PartName } from './data/part-name.ts';
export type { DatasetSource } from './data/read-samples.ts';
export type { ExifMode } from './data/read-size.ts';
export { type SplitDatasets, type SplitOptions, splitDataset } from './data/split-dataset.ts';
export { VocDataset, type VocDatasetOptions } from './data/voc-dataset.ts';
export type { VocSource } from './data/voc-files.ts';
export { type DatasetParts, type WriteDatasetOptions, writeDataset } from './data/write-dataset.ts';
export type { ClassRows } from './detector/class-rows.ts';
export type { ComputeOptions, Precision } from './detector/compute-options.ts';
export type { DetectOptions } from './detector/detect-options.ts';
export { Detector } from './detector/detector.ts';
export type { DetectorOptions, LoadOptions } from './detector/detector-options.ts';
export type { ExportReport } from './detector/export.ts';
export { exportDetector } from './detector/export-detector.ts';
export type { ExportFormat, ExportOptions, ExportPart } from './detector/export-options.ts';
export type { WeightReport } from './detector/model-state.ts';
export type { ModelSummary, SummaryOptions, SummaryRow } from './detector/summary.ts';
export {
  type AreaScores,
  averagePrecisionByArea,
  type CocoClassResult,
  type CocoOptions,
  type CocoResult,
  type CocoScores,
  cocoAveragePrecision,
  type TorchmetricsResult,
  torchmetricsMeanAveragePrecision,
} from './evaluation/average-precision.ts';
export type { AreaRange } from './evaluation/coco-matching.ts';
export type { EvaluatedImage } from './evaluation/evaluated-image.ts';
export {
  type ClassEvaluation,
  type EvaluationHooks,
  type EvaluationResult,
  Evaluator,
  type SizeEvaluation,
} from './evaluation/evaluator.ts';
export type { EvaluatorOptions } from './evaluation/evaluator-options.ts';
export {
  type VocClassResult,
  type VocOptions,
  type VocResult,
  vocAveragePrecision,
} from './evaluation/voc-average-precision.ts';
export type { AnnotateOptions } from './images/draw.ts';
export type { ImageInput, RgbImage } from './images/image.ts';
export {
  type BackboneName,
  backboneNames,
  type DetectorConfig,
  type PresetName,
  presetNames,
} from './model/config.ts';
export type {
  AnchorOptions,
  BoxOptions,
  DefaultBoxOptions,
  FittedBoxOptions,
  PointOptions,
} from './model/default-box-options.ts';
export type { HeadName } from './model/detection-head.ts';
export type { Features, Fusion } from './model/feature-pyramid.ts';
export type {
  AssignerName,
  BoxLossName,
  ChosenLoss,
  ClassLossName,
  EarlierLoss,
  LearningChoice,
  LearningOptions,
  LossChoice,
  LossOptions,
  Scores,
} from './model/loss-options.ts';
export type { NmsName, PostprocessOptions, ShownOptions, TopkPer } from './model/postprocess-options.ts';
export type { NmsPlace, OnnxExportOptions } from './onnx/export-options.ts';
export type { Opset } from './onnx/graph/graph.ts';
export type { OnnxInput } from './onnx/metadata.ts';
export type { Verification } from './onnx/verify.ts';
export type { ScheduleName } from './training/learning-rate.ts';
export { type PreviewOptions, previewAugmentation } from './training/preview.ts';
export { Trainer } from './training/trainer.ts';
export type { OptimizerName, RunOptions, SaveEvery, TrainerOptions } from './training/trainer-options.ts';
export type { EpochEvent, StartEvent, StepEvent, TrainingHooks, TrainingResult } from './training/training-events.ts';
export type { VideoFrame, VideoOptions, VideoSummary } from './video/options.ts';
export type { VideoInfo } from './video/probe.ts';
export type { VideoDetection } from './video/tracker.ts';
