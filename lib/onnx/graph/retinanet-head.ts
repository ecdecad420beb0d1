import type { Value } from '../proto/model-proto.ts';
import type { Graph } from './graph.ts';
import { type HeadOutput, rowsOf } from './ssd-head.ts';

const TOWER_CONVS = [0, 1, 2, 3];

/** The layers of native/models/retinanet_head.cc: two towers that serve all maps. In float32, whatever the maps are in. */
export function retinaNetHead(graph: Graph, maps: readonly Value[], classes: number): HeadOutput {
  const score = (part: string, top: string, columns: number) => {
    const rows = maps.map((map) => {
      let x = map;
      for (const i of TOWER_CONVS) x = graph.relu(graph.conv(x, `head.${part}.conv.${i}.0`, { padding: 1 }));
      return rowsOf(graph, graph.conv(x, `head.${part}.${top}`, { padding: 1 }), columns);
    });
    return graph.concat(rows, 1);
  };
  return {
    logits: score('classification_head', 'cls_logits', classes + 1),
    codes: score('regression_head', 'bbox_reg', 4),
  };
}
