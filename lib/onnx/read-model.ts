import { DetectorError, messageOf } from '../base/errors.ts';
import { operators } from './graph/operators.ts';
import { checkMetadata, METADATA_FORMAT, type OnnxMetadata } from './metadata.ts';
import { elementBytes, elementTypes } from './proto/model-proto.ts';
import { type Field, ProtobufError, readFields } from './proto/protobuf.ts';

/**
 * The wall before a runtime: a file gets through only if it is an export of ours, whole, and made of the operators that our exports
 * are made of. Runtimes are large programs in C++, and what they do with a hostile file is not ours to find out.
 */

export interface OpenedModel {
  metadata: OnnxMetadata;
  /** The file beside the model that has its weights, if there is one. */
  externalData: string | undefined;
  /** What the SHA-256 of that file has to be. */
  dataDigest: string | undefined;
}

/** As the writer has them. */
const DIGEST_KEY = 'sha256';
const DATA_DIGEST_KEY = 'data_sha256';
const MAX_NODES = 20_000;
const MAX_ATTRIBUTE_FIELDS = 100;
/** Fields of an attribute that hold no tensor and no graph. */
const ATTRIBUTE_FIELDS = new Set([1, 2, 3, 4, 8, 20]);
const SHA256_PREFIX = /^[0-9a-f]{64}$/;

/**
 * What a file says of itself, once it has passed.
 * @throws DetectorError `ONNX_INVALID`
 */
export async function readModel(name: string, bytes: Uint8Array): Promise<OpenedModel> {
  const refuse = (what: string, cause?: unknown) =>
    new DetectorError(
      'ONNX_INVALID',
      `${name} cannot be used: it ${what}. Export the detector again: dinov3-det export --format onnx`,
      { cause },
    );
  try {
    const { entries, externalData, digestAt } = readParts(bytes);
    if (entries.get('format') !== METADATA_FORMAT) {
      throw new ProtobufError(`is no export of dinov3-det: its metadata lack the entry format: ${METADATA_FORMAT}`);
    }
    const expected = entries.get(DIGEST_KEY) ?? '';
    if (!SHA256_PREFIX.test(expected))
      throw new ProtobufError(`lacks the entry ${DIGEST_KEY} in its metadata, so it is cut short`);
    const found = await sha256(bytes.subarray(0, digestAt));
    if (found !== undefined && found !== expected)
      throw new ProtobufError('is damaged: its SHA-256 is not the one it was written with');
    const dataDigest = entries.get(DATA_DIGEST_KEY);
    if (externalData !== undefined && dataDigest === undefined)
      throw new ProtobufError(
        `lacks the entry ${DATA_DIGEST_KEY} in its metadata, though its weights are in another file`,
      );
    return { metadata: checkMetadata(entries), externalData, dataDigest };
  } catch (error) {
    if (error instanceof ProtobufError) throw refuse(error.message, error);
    if (error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError)
      throw refuse(`has metadata that are not valid: ${messageOf(error)}`, error);
    throw error;
  }
}

function readParts(bytes: Uint8Array) {
  const entries = new Map<string, string>();
  let graph: Uint8Array | undefined;
  let digestAt = 0;
  let last = '';
  for (const field of readFields(bytes)) {
    if (last === DIGEST_KEY) throw new ProtobufError('goes on after its last entry');
    if (field.number === 7 && graph === undefined) graph = field.bytes;
    else if (field.number === 14) {
      const [key, value] = readEntry(field.bytes);
      if (entries.has(key))
        throw new ProtobufError(`has the entry ${JSON.stringify(key.slice(0, 100))} twice in its metadata`);
      entries.set(key, value);
      digestAt = field.begin;
      last = key;
    } else if (![1, 2, 3, 6, 8].includes(field.number)) {
      throw new ProtobufError(`has a field of the number ${field.number}, which our exports lack`);
    }
  }
  if (graph === undefined) throw new ProtobufError('is no ONNX model: it has no graph');
  return { entries, externalData: readGraph(graph), digestAt };
}

/** The file of external data that its weights name, if they do. @throws ProtobufError for what our exports lack */
function readGraph(graph: Uint8Array): string | undefined {
  const locations = new Set<string>();
  let nodes = 0;
  for (const { number, bytes } of readFields(graph)) {
    if (number === 1) {
      if (++nodes > MAX_NODES) throw new ProtobufError(`has more than ${MAX_NODES} nodes`);
      checkNode(bytes);
    } else if (number === 5) {
      const location = checkTensor(bytes);
      if (location !== undefined) locations.add(location);
    } else if (![2, 11, 12].includes(number)) {
      throw new ProtobufError(`has a graph with a field of the number ${number}, which our exports lack`);
    }
  }
  const [location, other] = locations;
  if (other !== undefined) throw new ProtobufError('has weights in more than one file');
  return location;
}

function checkNode(node: Uint8Array): void {
  for (const { number, bytes } of readFields(node)) {
    if (number === 4) {
      const operator = textOf(bytes);
      if (!operators.has(operator))
        throw new ProtobufError(`has the operator ${JSON.stringify(operator.slice(0, 100))}, which our exports lack`);
    } else if (number === 5) checkAttribute(bytes);
    else if (number > 3)
      throw new ProtobufError(`has a node with a field of the number ${number}, which our exports lack`);
  }
}

function checkAttribute(attribute: Uint8Array): void {
  let fields = 0;
  for (const { number } of readFields(attribute)) {
    if (!ATTRIBUTE_FIELDS.has(number) || ++fields > MAX_ATTRIBUTE_FIELDS)
      throw new ProtobufError('has a node with an attribute that our exports lack');
  }
}

/** Where the tensor's bytes are if not here. @throws ProtobufError for more or fewer of them than its shape wants */
function checkTensor(tensor: Uint8Array): string | undefined {
  let [count, type, length] = [1, 0, 0];
  const external = new Map<string, string>();
  for (const { number, value, bytes } of readFields(tensor)) {
    if (number === 1) count *= Number(value);
    else if (number === 2) type = Number(value);
    else if (number === 9) length += bytes.length;
    else if (number === 13) external.set(...readEntry(bytes));
    else if (![8, 14].includes(number)) throw new ProtobufError('has a weight of a form that our exports lack');
  }
  const known = Object.entries(elementTypes).find(([, each]) => each === type)?.[0] as
    | keyof typeof elementBytes
    | undefined;
  const wanted = known === undefined ? Number.NaN : count * elementBytes[known];
  const location = external.get('location');
  const given = location === undefined ? length : Number(external.get('length'));
  if (given !== wanted) throw new ProtobufError(`has a weight of ${given} bytes where its shape wants ${wanted}`);
  return location;
}

function readEntry(entry: Uint8Array): [key: string, value: string] {
  const texts = new Map<number, Field>([...readFields(entry)].map((field) => [field.number, field]));
  return [textOf(texts.get(1)?.bytes), textOf(texts.get(2)?.bytes)];
}

function textOf(bytes: Uint8Array = new Uint8Array(0)): string {
  return new TextDecoder().decode(bytes);
}

/** Undefined in a page that browsers do not trust with cryptography. */
async function sha256(bytes: Uint8Array): Promise<string | undefined> {
  const { subtle } = globalThis.crypto ?? {};
  if (subtle === undefined) return undefined;
  const digest = new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
