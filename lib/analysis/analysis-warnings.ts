import { isPoints } from '../model/default-box-options.ts';
import type { DatasetAnalysis } from './dataset-analysis.ts';
import type { CoverageRow } from './default-boxes/coverage.ts';

/** Below this the default boxes are called poor: a training learns little of an object that has one forced match. */
const GOOD_SHARE = 0.8;
/** A range of sizes or a class may be poor although the whole is not: one in this many objects is worth a word. */
const WORTH_SHARE = 0.01;
const POOR_SHARE = 0.5;
const NAMED = 5;

/** What to know before a training, in sentences with a remedy. */
export function analysisWarnings(analysis: Omit<DatasetAnalysis, 'warnings'>): string[] {
  const { images, objects, imagesWithoutObjects, duplicateImages, classes } = analysis;
  const { defaultBoxes } = analysis.configured;
  const aboutFit = isPoints(defaultBoxes) ? pointWarnings : coverageWarnings;
  const warnings = objects > 0 ? aboutFit(analysis) : [];
  const missing = classes.filter((row) => row.objects === 0).map(({ label }) => label);
  if (missing.length > 0) {
    warnings.push(
      `No object of ${list(missing)}: nothing can be learned about ${plural(missing.length, 'it', 'them')}.`,
    );
  }
  if (imagesWithoutObjects.length > 0) {
    const count = imagesWithoutObjects.length;
    warnings.push(
      `${count} of ${images} images ${plural(count, 'has', 'have')} no object: ${list(imagesWithoutObjects)}.`,
    );
  }
  if (duplicateImages.length > 0) {
    const extra = duplicateImages.reduce((sum, ids) => sum + ids.length - 1, 0);
    const shown = duplicateImages.slice(0, NAMED).map((ids) => ids.slice(0, NAMED).join(' = '));
    warnings.push(
      `${extra} ${plural(extra, 'image is a copy', 'images are copies')} of others: ${shown.join(', ')}${duplicateImages.length > NAMED ? ', ...' : ''}.`,
    );
  }
  return warnings;
}

/** Points need not be fitted to objects; an object may only be too small for them. */
function pointWarnings({ configured }: Omit<DatasetAnalysis, 'warnings'>): string[] {
  const { all } = configured.coverage;
  if (all.forced < WORTH_SHARE * all.objects) return [];
  return [
    `${percent(all.forced / all.objects)} of the objects are so small that no point of the head lies in them; training gives each the ` +
      'nearest one. A larger image size has points for them.',
  ];
}

function coverageWarnings({ configured, proposed, maps }: Omit<DatasetAnalysis, 'warnings'>): string[] {
  const { all, boxes, bySide, byClass } = configured.coverage;
  const warnings: string[] = [];
  if (all.share! < GOOD_SHARE) {
    warnings.push(
      `Only ${percent(all.share!)} of the objects reach IoU 0.5 with one of the ${boxes} default boxes; training gives most of the others one forced default box, or none.`,
    );
  }
  for (const [what, rows] of Object.entries({ Sizes: bySide, Classes: byClass })) {
    const poor = poorRows(rows, all.objects).map(({ name, share }) => `${name} (${percent(share!)})`);
    if (poor.length > 0)
      warnings.push(`${what} of which less than half reach IoU 0.5 with a default box: ${list(poor)}.`);
  }
  if (warnings.length === 0) return [];
  const reached = proposed.coverage.all;
  warnings.push(
    reached.covered > all.covered
      ? `The proposed default boxes reach ${percent(reached.share!)} of the objects; analyze --write-config puts them into a data set file.`
      : 'No better default boxes were found for these feature maps.',
  );
  if (reached.share! < GOOD_SHARE || poorRows(proposed.coverage.bySide, all.objects).length > 0) {
    warnings.push(
      `More than that needs other feature maps than ${plural(maps.length, 'this one', `these ${maps.length}`)}: finer ones for small objects, more of them for many sizes.`,
    );
  }
  return warnings;
}

/** Those with a good number of objects that the default boxes hardly reach. */
function poorRows(rows: readonly CoverageRow[], all: number): CoverageRow[] {
  return rows.filter(({ objects, share }) => share !== null && share < POOR_SHARE && objects >= WORTH_SHARE * all);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function plural(count: number, one: string, many: string): string {
  return count === 1 ? one : many;
}

function list(names: readonly string[]): string {
  const more = names.length - NAMED;
  return names.slice(0, NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
