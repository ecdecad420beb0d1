import type { Value } from '../proto/model-proto.ts';
import { convNorm } from './conv-norm.ts';
import type { Graph } from './graph.ts';

/** The layers of native/models/dense_neck.cc: three maps, fine to coarse, that get one number of channels. */
export function denseNeck(graph: Graph, stages: readonly Value[]): Value[] {
  const layer = (name: string, x: Value, stride = 1) => convNorm(graph, x, `neck.${name}`, { stride });
  const fuse = (name: string, first: Value, second: Value) =>
    crossStage(graph, graph.concat([first, second], 1), `neck.${name}`);
  const isNarrow = graph.has('neck.projections.0.conv.weight');
  const maps = isNarrow ? stages.map((stage, k) => layer(`projections.${k}`, stage)) : stages;
  const [fine, middle, coarse] = maps as [Value, Value, Value];

  const top = layer('reduce_layers.0', coarse);
  const fused = layer('reduce_layers.1', fuse('top_down_blocks.0', graph.upsampleTwice(top), middle));
  const finest = fuse('top_down_blocks.1', graph.upsampleTwice(fused), fine);
  const coarser = fuse('bottom_up_blocks.0', layer('downsamples.0', finest, 2), fused);
  const coarsest = fuse('bottom_up_blocks.1', layer('downsamples.1', coarser, 2), top);
  return [finest, coarser, coarsest].map((map, k) => layer(`out_convs.${k}`, map));
}

/** Cross stage partial: one half of the channels through the blocks, the other past them. */
function crossStage(graph: Graph, x: Value, name: string): Value {
  const layer = (part: string, y: Value, depthwise = false) => convNorm(graph, y, `${name}.${part}`, { depthwise });
  let main = layer('main_conv', x);
  for (let block = 0; graph.has(`${name}.blocks.${block}.conv1.conv.weight`); block++) {
    const mixed = layer(`blocks.${block}.conv2.depthwise_conv`, layer(`blocks.${block}.conv1`, main), true);
    main = layer(`blocks.${block}.conv2.pointwise_conv`, mixed);
  }
  return layer('final_conv', graph.concat([main, layer('short_conv', x)], 1));
}
