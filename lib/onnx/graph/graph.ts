import { runInSlices } from '../../base/time-slices.ts';
import { toFloat16, toFloat16InSlices } from '../proto/float16.ts';
import {
  type Attribute,
  type Dimension,
  type ElementType,
  elementBytes,
  elementTypes,
  type Initializer,
  type Node,
  type Value,
} from '../proto/model-proto.ts';
import type { TensorSource } from './tensor-source.ts';

/** A version of ONNX's operators that can be written. */
export type Opset = 17 | 20;
/** All of them. */
export const opsets: readonly Opset[] = [17, 20];

type Floats = Extract<ElementType, 'float' | 'float16'>;
type Output = readonly [type: ElementType, shape: readonly Dimension[]];

/** Of every norm of the model. */
const EPSILON = { layer: 1e-6, group: 1e-5 };

/** What a convolution does besides its weights; the same both ways. */
export interface ConvForm {
  stride?: number;
  padding?: number;
  depthwise?: boolean;
}

/** How a weight is written otherwise than the model has it. */
export interface WeightForm {
  shape: readonly number[];
  /** The values in that shape. */
  values(): Promise<Float32Array>;
}

/**
 * A graph under construction: each method adds a node and answers with what the node gives, of which type and shape are known.
 * Layers take the name of their weights; `type` is what weights are written as, and what is computed in.
 */
export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs: Value[] = [];
  readonly outputs: Value[] = [];
  readonly opset: Opset;
  type: Floats = 'float';
  readonly #tensors: TensorSource;
  readonly #constants = new Map<string, Value>();
  readonly #initializers = new Map<string, Initializer>();
  readonly #names = new Map<string, number>();

  constructor(opset: Opset, tensors: TensorSource) {
    this.opset = opset;
    this.#tensors = tensors;
  }

  get initializers(): Initializer[] {
    return [...this.#initializers.values()];
  }

  input(name: string, type: ElementType, shape: readonly Dimension[]): Value {
    const value = this.#value([type, shape], name);
    this.inputs.push(value);
    return value;
  }

  /** Gives a node's result its name outside. */
  output(name: string, value: Value): void {
    value.name = name;
    this.outputs.push(value);
  }

  // Constants

  floats(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    return this.#constant('float', shape, new Uint8Array(Float32Array.from(values).buffer));
  }

  float(value: number, type: Floats = 'float'): Value {
    return type === 'float'
      ? this.floats([value], [])
      : this.#constant(type, [], new Uint8Array(toFloat16(Float32Array.of(value)).buffer));
  }

  integers(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    return this.#constant('int64', shape, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  /** A large constant. */
  table(name: string, values: Float32Array, shape: readonly number[]): Value {
    return this.#initializer(
      [['float', shape], name],
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    );
  }

  /** A tensor of the model, in another form where one is given. */
  weight(name: string, form?: WeightForm): Value {
    const { type } = this;
    const { shape, values } = form ?? { shape: this.shapeOf(name), values: () => this.read(name) };
    const byteLength = shape.reduce((product, size) => product * size, elementBytes[type]);
    const read = async () => {
      const floats = await values();
      const { buffer } = type === 'float16' ? await runInSlices(toFloat16InSlices(floats)) : floats;
      return new Uint8Array(buffer as ArrayBuffer);
    };
    return this.#initializer([[type, shape], name], { byteLength, read });
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  shapeOf(name: string): readonly number[] {
    return this.#tensors.shape(name);
  }

  read(name: string): Promise<Float32Array> {
    return this.#tensors.read(name);
  }

  // Layers, with weights of the model

  /** [N, C, H, W]; with a bias where the model has one. */
  conv(x: Value, name: string, { stride = 1, padding = 0, depthwise = false }: ConvForm = {}): Value {
    const weight = this.weight(`${name}.weight`);
    const [out, , kernel] = weight.shape as [number, number, number];
    const [batch, channels, ...sides] = x.shape;
    const cells = (sides as number[]).map((side) => Math.floor((side + 2 * padding - kernel) / stride) + 1);
    const attributes = {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: Array(4).fill(padding),
      ...(depthwise && { group: channels as number }),
    };
    const bias = `${name}.bias`;
    const inputs = [x, weight, ...(this.has(bias) ? [this.weight(bias)] : [])];
    return this.#node('Conv', inputs, [x.type, [batch!, out, ...cells]], attributes, name);
  }

  /** Over the last dimension. */
  layerNorm(x: Value, name: string): Value {
    const inputs = [x, this.weight(`${name}.weight`), this.weight(`${name}.bias`)];
    return this.#node(
      'LayerNormalization',
      inputs,
      [x.type, x.shape],
      { axis: -1, epsilon: { float: EPSILON.layer } },
      name,
    );
  }

  /** Over the channels of [N, C, H, W]. */
  layerNormChannelsFirst(x: Value, name: string): Value {
    return this.transpose(this.layerNorm(this.transpose(x, [0, 2, 3, 1]), name), [0, 3, 1, 2]);
  }

  /** Of [N, C, H, W], in float32 whatever its type: float16 cannot hold the sum of a group's squares. */
  groupNorm(x: Value, name: string, groups: number): Value {
    const { type } = this;
    this.type = 'float';
    const [channels, height, width] = x.shape.slice(1) as [number, number, number];
    const cells = (channels / groups) * height * width;
    const grouped = this.reshape(this.cast(x, 'float'), [0, groups, cells]);
    const neutral = [1, 0].map((value) => this.floats(Array(groups).fill(value)));
    const normed = this.#node('InstanceNormalization', [grouped, ...neutral], [grouped.type, grouped.shape], {
      epsilon: { float: EPSILON.group },
    });
    const perChannel = (leaf: string) =>
      this.weight(`${name}.${leaf}`, { shape: [channels, 1, 1], values: () => this.read(`${name}.${leaf}`) });
    const scaled = this.mul(this.reshape(normed, [0, channels, height, width]), perChannel('weight'));
    const result = this.add(scaled, perChannel('bias'));
    this.type = type;
    return this.cast(result, type);
  }

  // Operators

  transpose(x: Value, order: readonly number[]): Value {
    return this.#node('Transpose', [x], [x.type, order.map((axis) => x.shape[axis]!)], { perm: order });
  }

  /** A size of 0 keeps that of `x`. */
  reshape(x: Value, shape: readonly number[]): Value {
    const sizes = shape.map((size, axis) => (size === 0 ? x.shape[axis]! : size));
    return this.#node('Reshape', [x, this.integers(shape)], [x.type, sizes]);
  }

  add = (a: Value, b: Value): Value => this.#elementwise('Add', a, b);
  sub = (a: Value, b: Value): Value => this.#elementwise('Sub', a, b);
  mul = (a: Value, b: Value): Value => this.#elementwise('Mul', a, b);
  div = (a: Value, b: Value): Value => this.#elementwise('Div', a, b);
  mod = (a: Value, b: Value): Value => this.#elementwise('Mod', a, b);
  and = (a: Value, b: Value): Value => this.#elementwise('And', a, b);
  greater = (a: Value, b: Value): Value => this.#elementwise('Greater', a, b, 'bool');
  notAbove = (a: Value, b: Value): Value => this.#elementwise('LessOrEqual', a, b, 'bool');
  equal = (a: Value, b: Value): Value => this.#elementwise('Equal', a, b, 'bool');

  matMul(a: Value, b: Value): Value {
    return this.#node('MatMul', [a, b], [a.type, [...a.shape.slice(0, -1), b.shape.at(-1)!]]);
  }

  /** By erf. An opset below 20 has it in parts, which runtimes know and join. */
  gelu(x: Value): Value {
    if (this.opset >= 20) return this.#like('Gelu', x);
    const of = (value: number) => this.float(value, x.type as Floats);
    const erf = this.#like('Erf', this.div(x, of(Math.SQRT2)));
    return this.mul(this.mul(x, this.add(erf, of(1))), of(0.5));
  }

  relu = (x: Value): Value => this.#like('Relu', x);
  silu = (x: Value): Value => this.mul(x, this.sigmoid(x));
  exp = (x: Value): Value => this.#like('Exp', x);
  log = (x: Value): Value => this.#like('Log', x);
  sigmoid = (x: Value): Value => this.#like('Sigmoid', x);
  softmax = (x: Value): Value => this.#like('Softmax', x, { axis: -1 });

  clip(x: Value, min: number | undefined, max: number): Value {
    const least = min === undefined ? none : this.float(min);
    return this.#node('Clip', [x, least, this.float(max)], [x.type, x.shape]);
  }

  cast(x: Value, type: ElementType): Value {
    if (x.type === type) return x;
    return this.#node('Cast', [x], [type, x.shape], { to: elementTypes[type] });
  }

  where(condition: Value, a: Value, b: Value): Value {
    return this.#node('Where', [condition, a, b], [a.type, broadcast(condition.shape, broadcast(a.shape, b.shape))]);
  }

  concat(values: readonly Value[], axis: number): Value {
    if (values.length === 1) return values[0]!;
    const sizes = values.map(({ shape }) => shape.at(axis)!);
    const known = sizes.every((size) => typeof size === 'number');
    const at = axis < 0 ? axis + values[0]!.shape.length : axis;
    const size = known ? sizes.reduce((sum, each) => sum + (each as number), 0) : sizes.join('+');
    return this.#node('Concat', values, [values[0]!.type, values[0]!.shape.with(at, size)], { axis: at });
  }

  /** From `begin` to before `end`, both within the size. */
  slice(x: Value, axis: number, begin: number, end: number): Value {
    const at = axis < 0 ? axis + x.shape.length : axis;
    if (begin === 0 && end === x.shape[at]) return x;
    const inputs = [x, ...[begin, end, at].map((each) => this.integers([each]))];
    return this.#node('Slice', inputs, [x.type, x.shape.with(at, end - begin)]);
  }

  /** A single index takes the dimension away. */
  gather(x: Value, indices: Value, axis = 0): Value {
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    return this.#node('Gather', [x, indices], [x.type, shape], { axis });
  }

  /** [N, C, H, W] twice as wide and as high, each cell four times. */
  upsampleTwice(x: Value): Value {
    const [batch, channels, ...sides] = x.shape;
    const shape = [batch!, channels!, ...sides.map((side) => 2 * (side as number))];
    const inputs = [x, none, this.floats([1, 1, 2, 2])];
    const attributes = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
    return this.#node('Resize', inputs, [x.type, shape], attributes);
  }

  /** The `count` largest of the last dimension, falling; of equal ones the first comes first. */
  topK(x: Value, count: Value, size: Dimension): { values: Value; indices: Value } {
    const shape = x.shape.with(-1, size);
    const values = this.#value([x.type, shape], this.#fresh('TopK'));
    const indices = this.#value(['int64', shape], `${values.name}/indices`);
    const attributes = { axis: -1, largest: 1, sorted: 1 };
    this.nodes.push({ operator: 'TopK', inputs: [x, count], outputs: [values, indices], attributes });
    return { values, indices };
  }

  /** Boxes [B, M, 4] and scores [B, C, M] -> rows [D, 3] of batch, class and box, class by class, each by falling score. */
  nonMaxSuppression(boxes: Value, scores: Value, iouThreshold: number, scoreThreshold: number): Value {
    const most = this.integers([scores.shape.at(-1) as number]);
    const inputs = [boxes, scores, most, this.floats([iouThreshold]), this.floats([scoreThreshold])];
    return this.#node('NonMaxSuppression', inputs, ['int64', ['D', 3]]);
  }

  /** The sum or the largest of all. */
  sumOfAll = (x: Value): Value => this.#node('ReduceSum', [x], [x.type, []], { keepdims: 0 });
  maxOfAll = (x: Value): Value => this.#node('ReduceMax', [x], [x.type, []], { keepdims: 0 });

  sizesOf(x: Value): Value {
    return this.#node('Shape', [x], ['int64', [x.shape.length]]);
  }

  least(a: Value, b: Value): Value {
    return this.#elementwise('Min', a, b);
  }

  #elementwise(operator: string, a: Value, b: Value, type = a.type): Value {
    return this.#node(operator, [a, b], [type, broadcast(a.shape, b.shape)]);
  }

  #like(operator: string, x: Value, attributes: Record<string, Attribute> = {}): Value {
    return this.#node(operator, [x], [x.type, x.shape], attributes);
  }

  #node(
    operator: string,
    inputs: readonly Value[],
    output: Output,
    attributes: Record<string, Attribute> = {},
    layer?: string,
  ): Value {
    const name = layer === undefined ? this.#fresh(operator) : this.#layerName(layer);
    const value = this.#value(output, name);
    this.nodes.push({ operator, inputs, outputs: [value], attributes });
    return value;
  }

  #value([type, shape]: Output, name: string): Value {
    return { name, type, shape };
  }

  #constant(type: ElementType, shape: readonly number[], content: Uint8Array): Value {
    const key = `${type} ${shape.join('x')} ${content.join()}`;
    const value = this.#constants.get(key) ?? this.#initializer([[type, shape], this.#fresh('constant')], content);
    this.#constants.set(key, value);
    return value;
  }

  #initializer([output, name]: [Output, string], content: Initializer['content']): Value {
    const known = this.#initializers.get(name);
    if (known) return known.value;
    const value = this.#value(output, name);
    this.#initializers.set(name, { value, content });
    return value;
  }

  #fresh(operator: string): string {
    const count = this.#names.get(operator) ?? 0;
    this.#names.set(operator, count + 1);
    return `${operator}_${count}`;
  }

  /** A layer that serves several maps gives one value for each. */
  #layerName(name: string): string {
    const count = this.#names.get(name) ?? 0;
    this.#names.set(name, count + 1);
    return count === 0 ? name : `${name}:${count}`;
  }
}

/** An input that is left out. */
const none: Value = { name: '', type: 'float', shape: [] };

function broadcast(a: readonly Dimension[], b: readonly Dimension[]): Dimension[] {
  const [longer, shorter] = a.length >= b.length ? [a, b] : [b, a];
  const offset = longer.length - shorter.length;
  return longer.map((size, axis) => (size === 1 ? (shorter[axis - offset] ?? size) : size));
}
