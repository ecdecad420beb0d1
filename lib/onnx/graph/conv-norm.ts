import type { Value } from '../proto/model-proto.ts';
import type { ConvForm, Graph } from './graph.ts';

/** The layers of native/models/conv_norm.cc. */

/** A convolution without bias, GroupNorm and SiLU, under mmdet's names; padded so that stride 1 keeps the size. */
export function convNorm(graph: Graph, x: Value, name: string, form?: Omit<ConvForm, 'padding'>): Value {
  return normAndActivate(graph, convWithoutBias(graph, x, `${name}.conv`, form), `${name}.gn`);
}

export function convWithoutBias(graph: Graph, x: Value, name: string, form?: Omit<ConvForm, 'padding'>): Value {
  const kernel = graph.shapeOf(`${name}.weight`)[2]!;
  return graph.conv(x, name, { ...form, padding: Math.floor(kernel / 2) });
}

export function normAndActivate(graph: Graph, x: Value, name: string): Value {
  return graph.silu(graph.groupNorm(x, name, normGroups(x.shape[1] as number)));
}

/** 32 groups of channels, or groups of 8 where 32 do not go into them, or one. */
function normGroups(channels: number): number {
  if (channels % 32 === 0) return 32;
  return channels % 8 === 0 ? channels / 8 : 1;
}
