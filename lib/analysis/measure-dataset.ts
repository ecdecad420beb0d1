import { runInSlices } from '../base/time-slices.ts';
import { relativeSide } from '../boxes/relative-side.ts';
import type { Dataset, Sample } from '../data/dataset.ts';
import type { BoxOptions } from '../model/default-box-options.ts';
import { isAnchors, isPoints } from '../model/default-box-options.ts';
import type { ResolvedAnalysis } from './analysis-options.ts';
import { analysisWarnings } from './analysis-warnings.ts';
import type { ClassCount, DatasetAnalysis, DefaultBoxFit } from './dataset-analysis.ts';
import { proposeAnchors } from './default-boxes/anchor-proposal.ts';
import { type AnalysedObject, analysedObjects, measureCoverage } from './default-boxes/coverage.ts';
import { proposeDefaultBoxes } from './default-boxes/default-box-proposal.ts';
import { spread } from './default-boxes/spread.ts';
import { distributionOf, evenEdges } from './distribution.ts';
import { findDuplicateImages } from './duplicate-images.ts';
import { findSuspiciousBoxes } from './suspicious-boxes.ts';

const POSITIONS = 10;
const SIDE_EDGES = evenEdges(0, 1, 20);
/** Edges from 1:8 to 8:1, in quarters of a doubling. */
const ASPECT_EDGES = evenEdges(-3, 3, 24).map((exponent) => 2 ** exponent);
const MAX_COUNTED = 30;
const MAX_SHAPES = 500;

/** Computes the result of `analyzeDataset`, with pauses for the event loop. */
export async function measureDataset(
  dataset: Dataset,
  { layout, defaultBoxes, proposal, onProgress, signal }: ResolvedAnalysis,
): Promise<DatasetAnalysis> {
  const inSlices = <T>(work: Generator<void, T>) => runInSlices(work, undefined, signal);

  const { samples, classes, issues } = dataset;
  const duplicateImages = await findDuplicateImages(samples, { onProgress, signal });
  const suspiciousBoxes = await inSlices(findSuspiciousBoxes(samples, layout));
  const images = await inSlices(analysedObjects(samples));
  const objects = images.flat();
  const seenImages = await inSlices(analysedObjects(samples, layout));
  const seen = seenImages.flat();
  const measure = async (boxes: BoxOptions): Promise<DefaultBoxFit> => ({
    defaultBoxes: boxes,
    coverage: await inSlices(measureCoverage(seenImages, classes, boxes, layout)),
  });
  const configured = await measure(defaultBoxes);
  const analysis = {
    images: samples.length,
    objects: objects.length,
    classes: countClasses(samples, classes),
    ...describeImages(samples),
    ...(await inSlices(describeBoxes(objects))),
    duplicateImages,
    suspiciousBoxes,
    issues,
    ...layout,
    configured,
    proposed: isPoints(defaultBoxes)
      ? configured
      : await measure(
          await inSlices<BoxOptions>(
            isAnchors(defaultBoxes)
              ? proposeAnchors(seen, defaultBoxes, layout, proposal)
              : proposeDefaultBoxes(seen, defaultBoxes, layout, proposal),
          ),
        ),
  };
  return { ...analysis, warnings: analysisWarnings(analysis) };
}

function countClasses(samples: readonly Sample[], classes: readonly string[]): ClassCount[] {
  const counts = classes.map((label) => ({ label, objects: 0, images: 0, difficult: 0 }));
  for (const { objects } of samples) {
    for (const { labelIndex, difficult } of objects) {
      counts[labelIndex - 1]!.objects++;
      if (difficult) counts[labelIndex - 1]!.difficult++;
    }
    for (const label of new Set(objects.map(({ labelIndex }) => labelIndex))) counts[label - 1]!.images++;
  }
  return counts;
}

function describeImages(samples: readonly Sample[]) {
  const numbers = samples.map(({ objects }) => objects.length);
  const top = numbers.reduce((max, number) => Math.max(max, number), 0);
  const bins = Math.min(MAX_COUNTED, top) + 1;
  return {
    objectsPerImage: distributionOf(numbers, evenEdges(0, bins, bins)),
    imagesWithoutObjects: samples.flatMap(({ id, objects }) => (objects.length === 0 ? [id] : [])),
  };
}

function* describeBoxes(objects: readonly AnalysedObject[]) {
  const positions = Array.from({ length: POSITIONS }, () => new Array<number>(POSITIONS).fill(0));
  const part = (centre: number) => Math.min(POSITIONS - 1, Math.floor(centre * POSITIONS));
  for (const { x, y } of objects) positions[part(y)]![part(x)]!++;
  function* describe(measure: (object: AnalysedObject) => number, edges: number[]) {
    yield;
    return distributionOf(objects.map(measure), edges);
  }
  return {
    width: yield* describe(({ width }) => width, SIDE_EDGES),
    height: yield* describe(({ height }) => height, SIDE_EDGES),
    side: yield* describe(relativeSide, SIDE_EDGES),
    aspectRatio: yield* describe(({ width, height }) => width / height, ASPECT_EDGES),
    shapes: spread(objects, MAX_SHAPES).map(({ width, height }) => ({ width, height })),
    positions,
  };
}
