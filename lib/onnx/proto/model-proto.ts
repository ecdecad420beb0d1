import { type Piece, ProtobufMessage } from './protobuf.ts';

/**
 * The messages of an ONNX file (onnx/onnx.proto, whose field numbers never change), as far as our models need them. The largest thing
 * left out is a graph inside a node.
 */

/** Numbers of `TensorProto.DataType`. */
export const elementTypes = { float: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float16: 10 } as const;
export type ElementType = keyof typeof elementTypes;
export const elementBytes: Record<ElementType, number> = {
  float: 4,
  uint8: 1,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
};

/** A size that is known, or the name of one that is not. */
export type Dimension = number | string;

/** What a node, an input or an output gives: its name in the graph, and what is known of it. */
export interface Value {
  name: string;
  readonly type: ElementType;
  readonly shape: readonly Dimension[];
}

/** Integers are int64, and `{ float }` is what an attribute of that type has. */
export type Attribute = number | readonly number[] | string | { float: number };

export interface Node {
  operator: string;
  inputs: readonly Value[];
  outputs: readonly Value[];
  attributes: Readonly<Record<string, Attribute>>;
}

/** A constant of the graph, `content.byteLength` being as its type and shape want it. */
export interface Initializer {
  value: Value;
  content: Piece;
}

export interface Model {
  opset: number;
  producerVersion: string;
  graphName: string;
  inputs: readonly Value[];
  outputs: readonly Value[];
  nodes: readonly Node[];
  initializers: readonly Initializer[];
  /** What the file says to people, in text. */
  description: string;
}

/** Where the content of an initializer is, in a file beside the model. */
export interface ExternalPlace {
  location: string;
  offset: number;
}

/** The number of the format's version that came with an opset (onnx, `VERSIONS`). */
const irVersions: Record<number, number> = { 17: 8, 20: 9 };

/** `external` says of an initializer where else than in the file itself its content is. */
export function encodeModel(
  model: Model,
  external: (initializer: Initializer) => ExternalPlace | undefined = () => undefined,
): ProtobufMessage {
  const graph = new ProtobufMessage();
  for (const node of model.nodes) graph.message(1, encodeNode(node));
  graph.text(2, model.graphName);
  for (const each of model.initializers) graph.message(5, encodeTensor(each, external(each)));
  for (const input of model.inputs) graph.message(11, encodeValue(input));
  for (const output of model.outputs) graph.message(12, encodeValue(output));
  return new ProtobufMessage()
    .integer(1, irVersions[model.opset]!)
    .text(2, 'dinov3-det')
    .text(3, model.producerVersion)
    .text(6, model.description)
    .message(7, graph)
    .message(8, new ProtobufMessage().text(1, '').integer(2, model.opset));
}

/** An entry of the model's metadata, which may follow anything in the file. */
export function encodeMetadata(key: string, value: string): ProtobufMessage {
  return new ProtobufMessage().message(14, new ProtobufMessage().text(1, key).text(2, value));
}

function encodeNode({ operator, inputs, outputs, attributes }: Node): ProtobufMessage {
  const node = new ProtobufMessage();
  for (const { name } of inputs) node.text(1, name);
  for (const { name } of outputs) node.text(2, name);
  node.text(3, `${outputs[0]!.name}/${operator}`).text(4, operator);
  for (const [name, value] of Object.entries(attributes)) node.message(5, encodeAttribute(name, value));
  return node;
}

function encodeAttribute(name: string, value: Attribute): ProtobufMessage {
  const attribute = new ProtobufMessage().text(1, name);
  if (typeof value === 'number') return attribute.integer(3, value).integer(20, 2);
  if (typeof value === 'string') return attribute.text(4, value).integer(20, 3);
  if ('float' in value) return attribute.float(2, value.float).integer(20, 1);
  for (const each of value) attribute.integer(8, each);
  return attribute.integer(20, 7);
}

function encodeTensor({ value, content }: Initializer, place: ExternalPlace | undefined): ProtobufMessage {
  const tensor = new ProtobufMessage();
  for (const size of value.shape) tensor.integer(1, size as number);
  tensor.integer(2, elementTypes[value.type]).text(8, value.name);
  if (!place) return tensor.bytes(9, content);
  const entries = { location: place.location, offset: `${place.offset}`, length: `${content.byteLength}` };
  for (const [key, text] of Object.entries(entries)) {
    tensor.message(13, new ProtobufMessage().text(1, key).text(2, text));
  }
  return tensor.integer(14, 1);
}

function encodeValue({ name, type, shape }: Value): ProtobufMessage {
  const dimensions = new ProtobufMessage();
  for (const size of shape) {
    const dimension = new ProtobufMessage();
    dimensions.message(1, typeof size === 'number' ? dimension.integer(1, size) : dimension.text(2, size));
  }
  const tensor = new ProtobufMessage().integer(1, elementTypes[type]).message(2, dimensions);
  return new ProtobufMessage().text(1, name).message(2, new ProtobufMessage().message(1, tensor));
}
