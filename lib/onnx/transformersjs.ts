import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DetectorError } from '../base/errors.ts';
import { ensureWritableDirectory, makeDirectory, writing } from '../files/atomic-file.ts';
import type { DetectorConfig } from '../model/config.ts';
import { checkOnnxExportable, type OnnxReport, type OnnxSource, withTensors, writeDetector } from './export-onnx.ts';
import type { ResolvedOnnxOptions } from './export-options.ts';
import { unnamedColumns } from './graph/object-queries.ts';
import { verifyModel } from './verify.ts';
import { EXTERNAL_ABOVE } from './write-model.ts';

/**
 * Writes a directory that `pipeline('object-detection')` of transformers.js loads: the model in float32 and float16, and what says how
 * its images are prepared and its classes are named. It is there whole or not at all, in a new or an empty directory.
 *
 * The architecture says `yolos`, which is the family whose interface is images in, `logits` and `pred_boxes` out, without more.
 */
export async function exportTransformersJs(
  source: OnnxSource,
  dir: string,
  { opset, verify }: Pick<ResolvedOnnxOptions, 'opset' | 'verify'>,
  mostBytes = EXTERNAL_ABOVE,
): Promise<OnnxReport> {
  checkOnnxExportable(source.config, true);
  checkStretched(source.config);
  await checkEmpty(dir);
  await ensureWritableDirectory(dirname(dir));
  const temporary = join(dirname(dir), `.${basename(dir)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    return await writing(dir, async () => {
      await mkdir(temporary);
      const report = await writeFiles(source, temporary, opset, mostBytes);
      const full = join(temporary, 'onnx', 'model.onnx');
      const verification = verify ? await verifyModel(full, source.detect) : undefined;
      await rmdir(dir).catch(() => {}); // an empty one: not every system renames over it
      await rename(temporary, dir);
      return { ...report, ...(verification && { verification }) };
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function writeFiles(
  source: OnnxSource,
  dir: string,
  opset: ResolvedOnnxOptions['opset'],
  mostBytes: number,
): Promise<OnnxReport> {
  await makeDirectory(join(dir, 'onnx'));
  const json = (name: string, value: unknown) => writeFile(join(dir, name), `${JSON.stringify(value, null, 2)}\n`);
  await json('config.json', modelConfig(source));
  await json('preprocessor_config.json', preprocessorConfig(source));
  return await withTensors(source, join(dir, 'model'), async (tensors) => {
    checkSize(tensors.byteLength, mostBytes);
    const write = (name: string, half: boolean) =>
      writeDetector(source, tensors, join(dir, 'onnx', name), { opset, half, input: 'float', result: 'queries' });
    const [full, half] = [await write('model.onnx', false), await write('model_fp16.onnx', true)];
    return { tensors: full.tensors + half.tensors, bytes: full.bytes + half.bytes };
  });
}

/** The pipeline loads one file. @throws {RangeError} for weights that one file cannot hold */
function checkSize(bytes: number, most: number): void {
  if (bytes <= most) return;
  throw new RangeError(
    `Expected at most ${most} bytes of weights for transformersjs, which loads a model from one file, found ${bytes}. Export it as onnx, ` +
      'whose weights may be in a file of their own',
  );
}

/** Columns of `logits`: the classes, unnamed ones, and "no object", which the pipeline takes for the last. */
function modelConfig({ classes, config }: OnnxSource): Record<string, unknown> {
  const columns = classes.length + unnamedColumns(config.postprocess);
  const labels = [...classes, ...Array(columns - classes.length).fill(''), 'no object'];
  return {
    model_type: 'yolos',
    architectures: ['YolosForObjectDetection'],
    id2label: Object.fromEntries(labels.map((label, i) => [i, label])),
    label2id: Object.fromEntries(classes.map((label, i) => [label, i])),
    'transformers.js_config': { dtype: 'fp32' }, // in browsers the default is q8, which is not here
  };
}

/** Normalisation is inside of the model. */
function preprocessorConfig({ config }: OnnxSource): Record<string, unknown> {
  return {
    image_processor_type: 'YolosImageProcessor',
    do_resize: true,
    size: config.imageSize,
    resample: 2,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: false,
    do_pad: false,
  };
}

/** The processor of that library gives boxes in parts of what it has padded. @throws RangeError */
function checkStretched({ resize = 'stretch' }: DetectorConfig): void {
  if (resize === 'stretch') return;
  throw new RangeError(
    `Expected a detector with resize stretch for transformersjs, found ${resize}: transformers.js would give boxes of the padded image. ` +
      'Export it as onnx, for OnnxDetector in Node.js or in a page',
  );
}

/** @throws DetectorError `OUTPUT_NOT_WRITABLE` */
async function checkEmpty(dir: string): Promise<void> {
  const [entry] = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new DetectorError(
      'OUTPUT_NOT_WRITABLE',
      `Cannot write ${dir}: ${error.message}. Choose a new or empty directory`,
    );
  });
  if (entry === undefined) return;
  throw new DetectorError(
    'OUTPUT_NOT_WRITABLE',
    `Cannot write ${dir}: ${entry} is in it. Choose a new or empty directory`,
  );
}
