import type { AnchorOptions } from '../../model/default-box-options.ts';
import type { DefaultBoxLayout, RelativeBox } from './default-box-grid.ts';
import { bestOf, MIN_CELLS, type ProposalOptions, rounded } from './default-box-proposal.ts';
import { clusterShapes, type Shape } from './k-means.ts';

/**
 * Proposes anchors for these maps that fit the objects. k-means over the shapes gives each map as many sizes as it has now. k-means over
 * the shapes scaled to one area gives the ratios. A second candidate has sizes that are not too small for the cells of their map. The
 * configured anchors are the result if no candidate is better. Sizes ascend with the maps.
 */
export function* proposeAnchors(
  objects: readonly RelativeBox[],
  configured: AnchorOptions,
  layout: DefaultBoxLayout,
  { ratios, ...clustering }: ProposalOptions = {},
): Generator<void, AnchorOptions> {
  if (objects.length === 0) return configured;
  const { imageSize, maps } = layout;
  const shapes = objects.map(({ width, height }) => ({
    width: width * imageSize.width,
    height: height * imageSize.height,
  }));
  const perMap = configured.sizes[0]!.length;
  const { centres: sized } = yield* clusterShapes(shapes, maps.length * perMap, clustering);
  const count = ratios ?? configured.aspectRatios.length;
  const { centres: shaped } = yield* clusterShapes(shapes.map(ofUnitArea), Math.max(1, count), clustering);
  const aspectRatios = [...new Set(shaped.map(({ width, height }) => rounded(height / width)))].sort((a, b) => a - b);

  const sides = Array.from({ length: maps.length * perMap }, (_, i) =>
    relativeSide(sized[Math.min(i, sized.length - 1)]!),
  );
  const chunk = (k: number) => sides.slice(k * perMap, (k + 1) * perMap);
  const smallest = maps.map(({ width }) => (MIN_CELLS * imageSize.width) / width);
  const clustered = maps.map((_, k) => chunk(k).map(rounded));
  const raised = maps.map((_, k) => chunk(k).map((side) => rounded(Math.max(side, smallest[k]!))));
  const candidates = [clustered, raised].flatMap((sizes) => [
    { sizes, aspectRatios },
    { sizes, aspectRatios: configured.aspectRatios },
  ]);
  return yield* bestOf([configured, ...candidates], objects, layout);
}

function relativeSide({ width, height }: Shape): number {
  return Math.sqrt(width * height);
}

function ofUnitArea({ width, height }: Shape): Shape {
  const root = Math.sqrt(width / height);
  return { width: root, height: 1 / root };
}
