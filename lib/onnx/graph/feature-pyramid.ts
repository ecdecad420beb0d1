import type { Value } from '../proto/model-proto.ts';
import type { Graph } from './graph.ts';

/** The layers of native/models/feature_pyramid.cc, for the three maps of a ConvNeXt. */

export interface PyramidForm {
  fused: boolean;
  /** How many maps there are in the end. */
  maps: number;
  extra: ExtraMap;
}

/** The map after the coarsest one, half as wide and high. The first one has the index 0. */
export type ExtraMap = (graph: Graph, coarsest: Value, index: number) => Value;

/** Maps of strides 8, 16 and 32, fine to coarse -> all maps, each coarser one half as wide and high. */
export function featurePyramid(graph: Graph, stages: readonly Value[], { fused, maps, extra }: PyramidForm): Value[] {
  const all = fused ? fuse(graph, stages) : [...stages];
  while (all.length < maps) {
    all.push(extra(graph, all.at(-1)!, all.length - stages.length));
  }
  return all;
}

/** FPN (Lin et al. 2017), from the coarsest map down. */
function fuse(graph: Graph, stages: readonly Value[]): Value[] {
  let coarser: Value | undefined;
  const fused = stages.map((_, i) => {
    const k = stages.length - 1 - i;
    const own = graph.conv(stages[k]!, `neck.inner_blocks.${k}`);
    const inner: Value = coarser ? graph.add(own, graph.upsampleTwice(coarser)) : own;
    coarser = inner;
    return graph.conv(inner, `neck.layer_blocks.${k}`, { padding: 1 });
  });
  return fused.reverse();
}

/** SSD's extra layers. */
export function ssdExtra(graph: Graph, x: Value, index: number): Value {
  const name = `neck.extras.${index}`;
  const normed = (layer: string, y: Value) => graph.gelu(graph.layerNormChannelsFirst(y, `${name}.${layer}`));
  const reduced = normed('reduce_norm', graph.conv(x, `${name}.reduce`));
  return normed('norm', graph.conv(reduced, `${name}.conv`, { stride: 2, padding: 1 }));
}

/** RetinaNet's P6 and P7. */
export function retinaNetExtra(graph: Graph, x: Value, index: number): Value {
  const input = index === 0 ? x : graph.relu(x);
  return graph.conv(input, `neck.extra_blocks.p${6 + index}`, { stride: 2, padding: 1 });
}
