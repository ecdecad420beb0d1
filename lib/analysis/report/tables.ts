import type { Size } from '../../boxes/box.ts';
import { isPoints } from '../../model/default-box-options.ts';
import type { DatasetAnalysis, DefaultBoxFit } from '../dataset-analysis.ts';
import type { CoverageRow } from '../default-boxes/coverage.ts';
import type { DefaultBoxLayout } from '../default-boxes/default-box-grid.ts';
import type { Distribution } from '../distribution.ts';

/** A table for a terminal or a page. */
export interface TextTable {
  title: string;
  heading: string[];
  rows: string[][];
  /** True if the cells are words instead of numbers. */
  isText?: boolean;
}

const sections = ['all', 'byArea', 'bySide'] as const;

/** The number of rows shown of a long list. `--json` has all rows. */
const MAX_ROWS = 20;

/** The tables of an analysis, most general first. Tables without a row are left out. */
export function analysisTables(analysis: DatasetAnalysis): TextTable[] {
  return [
    totals(analysis),
    classes(analysis),
    distributions(analysis),
    coverage(analysis),
    suspicious(analysis),
    issues(analysis),
  ].filter(({ rows }) => rows.length > 0);
}

function totals(analysis: DatasetAnalysis): TextTable {
  const { images, objects, imagesWithoutObjects, duplicateImages, suspiciousBoxes } = analysis;
  const kinds = (kind: string) => suspiciousBoxes.filter((box) => box.kind === kind).length;
  const outside = analysis.issues.filter(({ kind }) => kind === 'box-clipped' || kind === 'box-outside').length;
  const rows: [string, number][] = [
    ['images', images],
    ['objects', objects],
    ['images without objects', imagesWithoutObjects.length],
    ['images with a copy (groups)', duplicateImages.length],
    ['boxes: nearly the same as another', kinds('duplicate')],
    ['boxes: tiny for the model', kinds('tiny')],
    ['boxes: the whole image', kinds('whole-image')],
    ['boxes: very long or very high', kinds('extreme-aspect')],
    ['boxes: beyond the image', outside],
  ];
  return { title: 'Data set', heading: ['', 'number'], rows: rows.map(([name, count]) => [name, number(count)]) };
}

function classes({ classes: counts, configured }: DatasetAnalysis): TextTable {
  return {
    title: 'Classes',
    heading: ['class', 'objects', 'images', 'difficult', coveredWords(configured)],
    rows: counts.map(({ label, objects, images, difficult }, i) => [
      label,
      ...[objects, images, difficult].map(number),
      percent(configured.coverage.byClass[i]!.share),
    ]),
  };
}

function distributions(analysis: DatasetAnalysis): TextTable {
  const keys = ['min', 'p5', 'p25', 'median', 'p75', 'p95', 'max', 'mean'] as const;
  const row = (name: string, distribution: Distribution | null) =>
    distribution === null ? [] : [[name, ...keys.map((key) => String(Number(distribution[key].toPrecision(3))))]];
  const { objectsPerImage, width, height, side, aspectRatio } = analysis;
  return {
    title: 'Distributions (width, height and side in parts of the image)',
    heading: ['', ...keys],
    rows: [
      ...row('objects per image', objectsPerImage),
      ...row('width', width),
      ...row('height', height),
      ...row('side, sqrt(w x h)', side),
      ...row('aspect ratio, w / h', aspectRatio),
    ],
  };
}

/** The condition in words that makes an object covered. */
export function coveredWords({ defaultBoxes }: DefaultBoxFit): string {
  return isPoints(defaultBoxes) ? 'a point inside' : 'IoU >= 0.5';
}

function coverage(analysis: DatasetAnalysis): TextTable {
  return isPoints(analysis.configured.defaultBoxes) ? pointCoverage(analysis) : boxCoverage(analysis);
}

function pointCoverage({ configured, maps, imageSize, resize, objects }: DatasetAnalysis): TextTable {
  const { coverage } = configured;
  const share = (count: number, part: number) => percent(count === 0 ? null : part / count);
  const rows = sections
    .flatMap((section) => coverage[section])
    .map((row) => [row.name, number(row.objects), percent(row.share), share(row.objects, row.forced)]);
  return {
    title: `Points ${describeLayout({ imageSize, resize, maps })} (${number(coverage.boxes)}), which need no default boxes`,
    heading: ['objects', 'number', coveredWords(configured), 'the nearest only'],
    rows: objects === 0 ? [] : rows,
  };
}

function boxCoverage({ configured, proposed, maps, imageSize, resize, objects }: DatasetAnalysis): TextTable {
  const rowsOf = (fit: typeof configured) => sections.flatMap((section) => fit.coverage[section]);
  const after = rowsOf(proposed);
  const share = ({ objects: count }: CoverageRow, part: number) => percent(count === 0 ? null : part / count);
  const rows = rowsOf(configured).map((row, i) => [
    row.name,
    number(row.objects),
    percent(row.share),
    share(row, row.forced),
    share(row, row.unmatched),
    percent(after[i]!.share),
    share(after[i]!, after[i]!.forced),
  ]);
  const boxes = `${number(configured.coverage.boxes)} configured, ${number(proposed.coverage.boxes)} proposed`;
  return {
    title: `Default boxes ${describeLayout({ imageSize, resize, maps })} (${boxes})`,
    heading: ['objects', 'number', 'IoU >= 0.5', 'only forced', 'no match', 'proposed', 'only forced'],
    rows: objects === 0 ? [] : rows,
  };
}

/** The layout in words, for example "at 640x640 on 20x20 cells", or "at 640x640 (letterbox) on 20x20 cells". */
export function describeLayout({ imageSize, resize, maps }: DefaultBoxLayout): string {
  const show = ({ width, height }: Size) => `${width}x${height}`;
  const how = resize === 'letterbox' ? ' (letterbox)' : '';
  return `at ${show(imageSize)}${how} on ${maps.map(show).join(', ')} cells`;
}

function suspicious({ suspiciousBoxes }: DatasetAnalysis): TextTable {
  const rows = suspiciousBoxes.slice(0, MAX_ROWS).map(({ kind, image, label, box, message }) => {
    const corners = [box.xmin, box.ymin, box.xmax, box.ymax].map((value) => Number(value.toFixed(1))).join(', ');
    return [kind, image, `${label} [${corners}]`, message];
  });
  const title = shownOf('Suspicious boxes', suspiciousBoxes.length);
  return { title, heading: ['kind', 'image', 'object', 'found'], rows, isText: true };
}

function issues({ issues: found }: DatasetAnalysis): TextTable {
  const counts = new Map<string, number>();
  for (const { kind, action } of found) counts.set(`${kind} (${action})`, (counts.get(`${kind} (${action})`) ?? 0) + 1);
  const rows = [...counts].map(([name, count]) => [name, number(count)]);
  return { title: 'Skipped or repaired while reading', heading: ['', 'number'], rows };
}

function shownOf(title: string, count: number): string {
  return count > MAX_ROWS ? `${title} (the first ${MAX_ROWS} of ${number(count)})` : title;
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}

/** A share in percent, for example "87.8 %", or "--" if there is none. */
function percent(share: number | null): string {
  return share === null ? '--' : `${(100 * share).toFixed(1)} %`;
}
