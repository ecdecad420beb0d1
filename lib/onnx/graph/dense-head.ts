import type { Value } from '../proto/model-proto.ts';
import { convWithoutBias, normAndActivate } from './conv-norm.ts';
import type { Graph } from './graph.ts';
import { type HeadOutput, rowsOf } from './ssd-head.ts';

const TOWER_CONVS = [0, 1];

/**
 * The layers of native/models/dense_head.cc: two towers, whose convolutions serve all maps; norms and tops are each map's own. In
 * float32, whatever the maps are in.
 */
export function denseHead(graph: Graph, maps: readonly Value[], classes: number): HeadOutput {
  const predict = (tower: string, columns: number) => {
    const rows = maps.map((map, k) => {
      let x = map;
      for (const i of TOWER_CONVS) {
        const mixed = convWithoutBias(graph, x, `head.${tower}_convs.0.${i}.conv`);
        x = normAndActivate(graph, mixed, `head.${tower}_convs.${k}.${i}.gn`);
      }
      return rowsOf(graph, graph.conv(x, `head.rtm_${tower}.${k}`), columns);
    });
    return graph.concat(rows, 1);
  };
  return { logits: predict('cls', classes), codes: predict('reg', 4) };
}
