import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { native } from '../../lib/binding.ts';
import { loadDatasetConfig } from '../../lib/data/dataset-config.ts';
import { readVocAnnotation } from '../../lib/data/voc-annotation.ts';
import { Detector } from '../../lib/detector/detector.ts';
import { exportDetector } from '../../lib/detector/export-detector.ts';
import { presetConfig } from '../../lib/model/config.ts';
import { ProtobufMessage, readFields } from '../../lib/onnx/proto/protobuf.ts';
import { readModel } from '../../lib/onnx/read-model.ts';
import { openWeights } from '../../lib/weights/open-weights.ts';
import { layoutSafetensors, type TensorSpan } from '../../lib/weights/safetensors.ts';
import { vetTorchScript } from '../../lib/weights/torch/torchscript.ts';
import { fixture } from '../support/shared.ts';
import { storedZip } from '../support/stored-zip.ts';
import { recordsOf } from '../support/torchscript-archive.ts';
import { vocObject, vocXml } from '../support/voc.ts';
import { type Draw, mutate } from './mutate.ts';

/** A reader of files and the sound files to begin with. */
export interface Target {
  name: string;
  seeds: readonly Buffer[];
  mutate(seed: Buffer, draw: Draw): Promise<Buffer>;
  /** Reads the file as a user's would be read. Rejects with a plain `Error` when what is let in is not sound. */
  read(bytes: Buffer): Promise<void>;
}

/** The readers; files are made below `folder`. */
export async function makeTargets(folder: string): Promise<Target[]> {
  const pth = ['last_model', 'parameters', 'tensors'].map((name) => readFileSync(fixture(`pth/${name}.pth`)));
  const scripts = ['one_map', 'three_maps', 'three_maps_traced'].map((name) =>
    readFileSync(fixture(`torchscript/${name}.pt`)),
  );
  const xml = [vocXml(vocObject('dog', 1, 2, 30, 40) + vocObject('a &amp; b', 0.5, 0, 9, 9)), vocXml('')];
  const yaml = ['configs/voc.yaml', 'configs/bccd.yaml'].map((name) =>
    readFileSync(new URL(`../../${name}`, import.meta.url)),
  );
  const text = xml.map((content) => Buffer.from(content));
  const weights = (bytes: Buffer) => readWeightsFile(join(folder, 'weights'), bytes);
  const asFile = (name: string, read: (path: string) => Promise<unknown>) => async (bytes: Buffer) => {
    await writeFile(join(folder, name), bytes);
    await read(join(folder, name));
  };
  const manifest = await makeCheckpoint(join(folder, 'checkpoint'));
  const onnx = [await exportOnnx(join(folder, 'detector.onnx'))];
  const model = async (bytes: Buffer) => void (await readModel('mutant.onnx', bytes));
  return [
    { name: 'safetensors', seeds: [safetensors()], read: weights },
    { name: 'safetensors header', seeds: [safetensors()], read: weights, part: mutateHeader },
    { name: 'pth', seeds: pth, read: weights },
    { name: 'a record of a pth', seeds: pth, read: weights, part: mutateRecord },
    { name: 'TorchScript', seeds: scripts, read: loadTorchScript },
    { name: 'a record of TorchScript', seeds: scripts, read: loadTorchScript, part: mutateRecord },
    {
      name: 'checkpoint manifest',
      seeds: [manifest],
      read: asFile('checkpoint/checkpoint.json', () => Detector.load(join(folder, 'checkpoint')).catch(passNoProgram)),
    },
    { name: 'ONNX', seeds: onnx, read: model },
    { name: 'ONNX with a digest that fits', seeds: onnx, read: model, part: mutateSigned },
    { name: 'VOC annotation', seeds: text, read: asFile('a.xml', readVocAnnotation) },
    { name: 'data set config', seeds: yaml, read: asFile('data.yaml', loadDatasetConfig) },
  ].map(({ part, ...target }) => {
    const change = part ?? (async (seed, draw) => mutate(seed, target.seeds, draw));
    return { ...target, mutate: change };
  }) satisfies Target[];
}

/** What is let in must lie within the file. */
async function readWeightsFile(path: string, bytes: Buffer): Promise<void> {
  await writeFile(path, bytes);
  const { tensors } = await openWeights(path);
  const outside = ({ offset, byteLength }: TensorSpan) =>
    !(Number.isSafeInteger(offset) && offset >= 0 && byteLength >= 0 && offset + byteLength <= bytes.length);
  const wrong = tensors.find(outside);
  if (wrong) throw new Error(`was let in with ${JSON.stringify(wrong)} outside of its ${bytes.length} bytes`);
}

/** What is let in is loaded and run once, in the process of these tests: LibTorch must not bring it down. */
async function loadTorchScript(bytes: Buffer): Promise<void> {
  await vetTorchScript(bytes, 'mutant.pt');
  const addon = await native();
  const { preset: _, postprocess: __, ...config } = presetConfig('article', 'torchscript', { width: 64, height: 64 });
  const options = { ...config, torchscript: bytes, numClasses: 2, seed: 1, device: 'cpu', precision: 'fp32' };
  addon.disposeDetector(await addon.createDetector(options));
}

function safetensors(): Buffer {
  const { header, totalBytes } = layoutSafetensors([
    { name: 'backbone.stages.0.0.gamma', dtype: 'F32', shape: [4] },
    { name: 'norm.weight', dtype: 'F16', shape: [2, 3] },
    { name: 'empty', dtype: 'I64', shape: [0, 7] },
  ]);
  return Buffer.concat([header, Buffer.alloc(totalBytes - header.length)]);
}

/** The JSON of a safetensors file changes, and the length before it is right. */
async function mutateHeader(seed: Buffer, draw: Draw): Promise<Buffer> {
  const end = 8 + Number(seed.readBigUInt64LE());
  const header = mutate(seed.subarray(8, end), [seed.subarray(8, end)], draw);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, seed.subarray(end)]);
}

/** One record of an archive changes, a pickle or code at most times, and its CRC-32 is right. */
async function mutateRecord(seed: Buffer, draw: Draw): Promise<Buffer> {
  const records = await recordsOf(seed);
  const programs = records.flatMap(([name], index) => (/\.(pkl|py)$/.test(name) ? [index] : []));
  const chosen = draw(8) ? programs[draw(programs.length)] : draw(records.length);
  const contents = records.map(([, content]) => content).filter(({ length }) => length > 0);
  return storedZip(
    records.map(([name, content], index) => [name, index === chosen ? mutate(content, contents, draw) : content]),
  );
}

async function exportOnnx(path: string): Promise<Buffer> {
  const imageSize = { width: 64, height: 64 };
  await using detector = await Detector.create({ classes: ['cat'], backbone: 'convnext_test', imageSize });
  await exportDetector(detector, path, { format: 'onnx', verify: false });
  return readFileSync(path);
}

/** Of an ONNX file the nodes at the front or the metadata at the end change, as somebody would change them who knows the format. */
async function mutateSigned(seed: Buffer, draw: Draw): Promise<Buffer> {
  const digest = [...readFields(seed)].at(-1)!;
  const body = seed.subarray(0, digest.begin);
  const [begin, end] = draw(2) ? [0, 20_000] : [body.length - 4000, body.length];
  const part = mutate(body.subarray(begin, end), [body.subarray(0, 2000), body.subarray(-2000)], draw);
  const mutant = Buffer.concat([body.subarray(0, begin), part, body.subarray(end)]);
  const entry = new ProtobufMessage().text(1, 'sha256').text(2, createHash('sha256').update(mutant).digest('hex'));
  return Buffer.concat([mutant, ...(new ProtobufMessage().message(14, entry).pieces as Uint8Array[])]);
}

/** A checkpoint of a TorchScript model without its program: everything in its manifest is read, and no model is built. */
async function makeCheckpoint(folder: string): Promise<Buffer> {
  const weights = safetensors();
  await mkdir(folder);
  await writeFile(join(folder, 'model.safetensors'), weights);
  const sha256 = createHash('sha256').update(weights).digest('hex');
  const model = {
    preset: 'article',
    backbone: 'torchscript',
    imageSize: { width: 64, height: 96 },
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    defaultBoxes: { aspectRatios: [[2]], scales: [0.15, 0.2], steps: [], clip: true },
    postprocess: { scoreThreshold: 0.01, nmsThreshold: 0.45, topkCandidates: 400, maxDetections: 200 },
  };
  return Buffer.from(
    JSON.stringify({
      format: 'dinov3-det-checkpoint',
      version: 1,
      createdBy: 'dinov3-det 0.1.0',
      classes: ['__background__', 'cat'],
      model,
      files: { 'model.safetensors': { sha256, bytes: weights.length } },
    }),
  );
}

function passNoProgram(error: Error): void {
  if (!error.message.includes('backbone.torchscript is not part of this checkpoint')) throw error;
}
