import { runInSlices } from '../../base/time-slices.ts';
import type { Value } from '../proto/model-proto.ts';
import type { Graph } from './graph.ts';

/** The layers of native/models/convnext.cc. */

/**
 * Normalised images [N, 3, H, W] -> the last stage's map, stride 32, or, for a pyramid, those of strides 8, 16 and 32; each through its
 * norm.
 */
export function convNext(graph: Graph, images: Value, pyramid: boolean): Value[] {
  const name = 'backbone.downsample_layers';
  let x = graph.layerNormChannelsFirst(graph.conv(images, `${name}.0.0`, { stride: 4 }), `${name}.0.1`);
  const maps = [0, 1, 2, 3].map((stage) => {
    if (stage > 0) {
      const normed = graph.layerNormChannelsFirst(x, `${name}.${stage}.0`);
      x = graph.conv(normed, `${name}.${stage}.1`, { stride: 2 });
    }
    for (let block = 0; graph.has(`backbone.stages.${stage}.${block}.gamma`); block++) {
      x = convNextBlock(graph, x, `backbone.stages.${stage}.${block}`);
    }
    return x;
  });
  const tapped = pyramid ? [1, 2, 3] : [3];
  return tapped.map((stage) =>
    graph.layerNormChannelsFirst(maps[stage]!, stage === 3 ? 'backbone.norm' : `backbone.norms.${stage}`),
  );
}

function convNextBlock(graph: Graph, x: Value, name: string): Value {
  const mixed = graph.transpose(graph.conv(x, `${name}.dwconv`, { padding: 3, depthwise: true }), [0, 2, 3, 1]);
  const hidden = graph.gelu(linear(graph, graph.layerNorm(mixed, `${name}.norm`), `${name}.pwconv1`));
  return graph.add(x, graph.transpose(scaled(graph, hidden, name), [0, 3, 1, 2]));
}

function linear(graph: Graph, x: Value, name: string): Value {
  return graph.add(graph.matMul(x, transposed(graph, `${name}.weight`)), graph.weight(`${name}.bias`));
}

/**
 * The second linear layer with the layer scale, which is a part of its weights. In float16 it stands by itself: times 1e-6, where it
 * begins, weights would be 0.
 */
function scaled(graph: Graph, x: Value, block: string): Value {
  const name = `${block}.pwconv2`;
  if (graph.type === 'float16') return graph.mul(linear(graph, x, name), graph.weight(`${block}.gamma`));
  const scale = async (tensor: string) => {
    const [values, gamma] = await Promise.all([graph.read(tensor), graph.read(`${block}.gamma`)]);
    await runInSlices(scaleRows(values, gamma));
    return values;
  };
  const bias = `${name}.bias`;
  const weight = transposed(graph, `${name}.weight`, scale);
  return graph.add(
    graph.matMul(x, weight),
    graph.weight(bias, { shape: graph.shapeOf(bias), values: () => scale(bias) }),
  );
}

/** PyTorch keeps the matrix of a linear layer as [out, in]; a product of matrices wants [in, out]. */
function transposed(graph: Graph, name: string, read = (tensor: string) => graph.read(tensor)): Value {
  const [rows, columns] = graph.shapeOf(name) as [number, number];
  const values = async () => {
    const source = await read(name);
    return await runInSlices(transpose(source, rows, columns));
  };
  return graph.weight(name, { shape: [columns, rows], values });
}

function* scaleRows(values: Float32Array, gamma: Float32Array): Generator<void> {
  const columns = values.length / gamma.length;
  for (let row = 0; row < gamma.length; row++, yield) {
    for (let at = row * columns; at < (row + 1) * columns; at++) values[at]! *= gamma[row]!;
  }
}

function* transpose(source: Float32Array, rows: number, columns: number): Generator<void, Float32Array> {
  const target = new Float32Array(source.length);
  for (let row = 0; row < rows; row++, yield) {
    for (let column = 0; column < columns; column++) target[column * rows + row] = source[row * columns + column]!;
  }
  return target;
}
