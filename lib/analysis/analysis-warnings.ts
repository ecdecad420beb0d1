import { isPoints } from '../model/default-box-options.ts';
import type { DatasetAnalysis } from './dataset-analysis.ts';
import type { CoverageRow } from './default-boxes/coverage.ts';

/** A lower share of covered objects gives a warning. An object with one forced match teaches the model little. */
const GOOD_SHARE = 0.8;
/** A class or a range of sizes is worth a warning if it holds at least this share of all objects. */
const WORTH_SHARE = 0.01;
const POOR_SHARE = 0.5;
const NAMED = 5;

/** Lists the warnings before a training, as sentences with a remedy. */
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

/** Points need not fit objects, but an object may be too small for them. */
function pointWarnings({ configured }: Omit<DatasetAnalysis, 'warnings'>): string[] {
  const { all } = configured.coverage;
  if (all.forced < WORTH_SHARE * all.objects) return [];
  return [
    `${percent(all.forced / all.objects)} of the objects are so small that no point of the head lies in them; training gives each the ` +
      'nearest point. A larger image size has points for them.',
  ];
}

function coverageWarnings({ configured, proposed, maps }: Omit<DatasetAnalysis, 'warnings'>): string[] {
  const { all, boxes, bySide, byClass } = configured.coverage;
  const warnings: string[] = [];
  if (all.share! < GOOD_SHARE) {
    warnings.push(
      `Only ${percent(all.share!)} of the objects reach IoU 0.5 with one of the ${boxes} default boxes; training gives most other objects one forced default box or none.`,
    );
  }
  for (const [what, rows] of Object.entries({ Sizes: bySide, Classes: byClass })) {
    const poor = poorRows(rows, all.objects).map(({ name, share }) => `${name} (${percent(share!)})`);
    if (poor.length > 0)
      warnings.push(`${what} with less than half of their objects at IoU 0.5 with a default box: ${list(poor)}.`);
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
      `More objects need other feature maps than ${plural(maps.length, 'this one', `these ${maps.length}`)}: finer maps for small objects, or more maps for many sizes.`,
    );
  }
  return warnings;
}

/** Selects the rows with many objects that few default boxes cover. */
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
