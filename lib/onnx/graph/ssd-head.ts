import type { Value } from '../proto/model-proto.ts';
import type { Graph } from './graph.ts';

/** What a head gives for the default boxes of all maps, in their order: [N, A, K] and [N, A, 4]. */
export interface HeadOutput {
  /** Of the classes, and before them of the background where the head has one. */
  logits: Value;
  codes: Value;
}

/** The layers of native/models/ssd_head.cc: a convolution for each map. In float32, whatever the maps are in. */
export function ssdHead(graph: Graph, maps: readonly Value[], classes: number): HeadOutput {
  const score = (part: string, columns: number) =>
    maps.map((map, k) => rowsOf(graph, graph.conv(map, `head.${part}.module_list.${k}`, { padding: 1 }), columns));
  return {
    logits: graph.concat(score('classification_head', classes + 1), 1),
    codes: graph.concat(score('regression_head', 4), 1),
  };
}

/** [N, boxes * columns, h, w] -> [N, h * w * boxes, columns]: cell after cell, row by row. */
export function rowsOf(graph: Graph, map: Value, columns: number): Value {
  const [, channels, height, width] = map.shape as number[];
  const rows = (height! * width! * channels!) / columns;
  return graph.reshape(graph.transpose(map, [0, 2, 3, 1]), [0, rows, columns]);
}
