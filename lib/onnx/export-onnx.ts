import { randomBytes } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Detection } from '../boxes/detection.ts';
import { ensureWritableDirectory, writing } from '../files/atomic-file.ts';
import type { RgbImage } from '../images/image.ts';
import type { DetectorConfig } from '../model/config.ts';
import { describeOnnx, describeUse } from './describe-model.ts';
import type { ResolvedOnnxOptions } from './export-options.ts';
import { type DescribedModel, type DetectorGraphOptions, detectorGraph } from './graph/detector-graph.ts';
import { type TensorSource, withTensorFile } from './graph/tensor-source.ts';
import { type Verification, verifyModel } from './verify.ts';
import { EXTERNAL_ABOVE, writeModel } from './write-model.ts';

/** A detector, as far as it is needed to be written as ONNX. */
export interface OnnxSource extends DescribedModel {
  /** Writes all its tensors to a safetensors file. */
  writeTensors(path: string): Promise<void>;
  /** What it finds with the limits of its own configuration. */
  detect(images: readonly RgbImage[]): Promise<Detection[][]>;
}

export interface OnnxReport {
  /** Constants in the file, weights among them. */
  tensors: number;
  /** Of the file, or of all files. */
  bytes: number;
  /** Left out where it was not to be, or could not be, compared. */
  verification?: Verification;
}

/** @throws RangeError for a model that no ONNX file can be made of, or not as the options want it */
export function checkOnnxExportable(
  { backbone, endToEnd, postprocess: { nms = 'plain' } }: DetectorConfig,
  inside: boolean,
): void {
  if (backbone === 'torchscript') {
    throw new RangeError(
      'Expected a ConvNeXt for an export as ONNX, found a TorchScript backbone, whose program cannot be written as ONNX. Export the ' +
        'detector as torchscript, or train one with --backbone convnext_tiny',
    );
  }
  if (endToEnd) {
    throw new RangeError(
      'Expected a detector without endToEnd for an export as ONNX, found one with it. Export it as torchscript, or take its branch with ' +
        'NMS: create a detector of its weights with endToEnd: false (--no-end-to-end)',
    );
  }
  if (inside && nms !== 'plain') {
    throw new RangeError(
      `Expected a detector with nms plain for NMS inside an ONNX file, found ${nms}, for which ONNX has no operator. Export with ` +
        "nms: 'none' (--nms none): OnnxDetector does the rest as the detector does",
    );
  }
}

/** Writes a detector as one ONNX file, whole or not at all. */
export async function exportOnnx(
  source: OnnxSource,
  path: string,
  { nms, verify, ...rest }: ResolvedOnnxOptions,
  externalAbove = EXTERNAL_ABOVE,
): Promise<OnnxReport> {
  checkOnnxExportable(source.config, nms === 'inside');
  await ensureWritableDirectory(dirname(path));
  const options = { ...rest, result: nms };
  return await withTensors(source, path, async (tensors) => {
    const written = await writeDetector(source, tensors, path, options, externalAbove);
    const verification = verify ? await verifyModel(path, source.detect) : undefined;
    return { ...written, ...(verification && { verification }) };
  });
}

/** One file of a detector whose tensors are at hand. */
export async function writeDetector(
  source: OnnxSource,
  tensors: TensorSource,
  path: string,
  options: DetectorGraphOptions,
  externalAbove = EXTERNAL_ABOVE,
): Promise<OnnxReport> {
  const model = { ...detectorGraph(source, tensors, options), description: describeUse(source, options) };
  await writeModel(path, model, describeOnnx(source, options), externalAbove);
  const files = await Promise.all([path, `${path}.data`].map((each) => stat(each).catch(() => undefined)));
  return { tensors: model.initializers.length, bytes: files.reduce((sum, file) => sum + (file?.size ?? 0), 0) };
}

/** The detector's tensors, in a file beside `path` for as long as it takes. */
export async function withTensors<T>(
  source: OnnxSource,
  path: string,
  use: (tensors: TensorSource) => Promise<T>,
): Promise<T> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.safetensors.tmp`);
  try {
    await writing(path, () => source.writeTensors(temporary));
    return await withTensorFile(temporary, use);
  } finally {
    await rm(temporary, { force: true });
  }
}
