import { chartSvg } from '../../images/plot.ts';
import { isPoints } from '../../model/default-box-options.ts';
import type { DatasetAnalysis, DefaultBoxFit } from '../dataset-analysis.ts';
import type { CoverageRow } from '../default-boxes/coverage.ts';
import { defaultBoxGrids } from '../default-boxes/default-box-grid.ts';
import type { Distribution } from '../distribution.ts';

export interface AnalysisChart {
  /** The file name without extension. */
  name: string;
  title: string;
  svg: string;
}

interface Bars {
  title: string;
  xLabel: string;
  yLabel: string;
  names: string[];
  series: { name: string; values: (number | null)[] }[];
  yMax?: number;
}

const MAX_CLASSES = 40;

/** Draws every chart of an analysis, one after another. Charts of objects are left out if there are no objects. */
export async function* analysisCharts(analysis: DatasetAnalysis): AsyncGenerator<AnalysisChart> {
  const { objectsPerImage, side, aspectRatio } = analysis;
  if (objectsPerImage) {
    yield histogramChart('objects-per-image', 'Objects per image', 'objects', objectsPerImage, String, 'images');
  }
  if (side === null || aspectRatio === null) return;
  yield classesChart(analysis);
  const hundredths = (edge: number) => edge.toFixed(2);
  yield histogramChart('sizes', 'Size of the objects', 'relative side, sqrt(width x height)', side, hundredths);
  const ratio = 'width / height, relative to the image';
  yield histogramChart('aspect-ratios', 'Aspect ratio of the objects', ratio, aspectRatio, (edge) =>
    edge.toPrecision(2),
  );
  yield positionsChart(analysis);
  yield shapesChart(analysis);
  const which = isPoints(analysis.configured.defaultBoxes)
    ? 'Objects in which a point lies'
    : 'Objects that reach IoU 0.5';
  yield coverageChart('coverage-by-size', `${which}, by relative side`, analysis, 'bySide');
  yield coverageChart('coverage-by-area', `${which}, by COCO's sizes`, analysis, 'byArea');
  yield coverageChart('coverage-by-class', `${which}, by class`, analysis, 'byClass');
}

async function barChart(name: string, { title, xLabel, yLabel, names, series, yMax }: Bars): Promise<AnalysisChart> {
  const longest = Math.max(0, ...names.map(({ length }) => length));
  const isCrowded = names.length * longest > 100;
  // The names are turned by 60 degrees; a letter is about 7 pixels wide.
  const labelHeight = isCrowded ? 16 + Math.min(110, 6 * longest) : 20;
  const svg = await chartSvg({
    title: { text: title, left: 'center', top: 12 },
    legend: { top: 40, itemGap: 32, show: series.length > 1 },
    grid: { left: 80, right: 32, top: 80, bottom: 36 + labelHeight, outerBoundsMode: 'none' },
    xAxis: {
      type: 'category',
      data: names,
      name: xLabel,
      nameLocation: 'middle',
      nameGap: 10 + labelHeight,
      axisLabel: { interval: 0, ...(isCrowded && { rotate: 60, width: 110, overflow: 'truncate' }) },
    },
    yAxis: { type: 'value', name: yLabel, nameLocation: 'middle', nameGap: 56, max: yMax },
    series: series.map(({ name, values }) => ({ name, type: 'bar', data: values })),
  });
  return { name, title, svg };
}

function histogramChart(
  name: string,
  title: string,
  xLabel: string,
  { counts, edges }: Distribution,
  showEdge: (edge: number) => string,
  yLabel = 'objects',
): Promise<AnalysisChart> {
  const names = edges.slice(0, -1).map(showEdge);
  return barChart(name, {
    title,
    xLabel: `${xLabel}, from`,
    yLabel,
    names,
    series: [{ name: yLabel, values: counts }],
  });
}

function classesChart({ classes }: DatasetAnalysis): Promise<AnalysisChart> {
  const shown = classes.toSorted((a, b) => b.objects - a.objects).slice(0, MAX_CLASSES);
  const title =
    shown.length < classes.length ? `Objects of the ${MAX_CLASSES} most frequent classes` : 'Objects by class';
  const series = [
    { name: 'objects', values: shown.map(({ objects }) => objects) },
    { name: 'images with one', values: shown.map(({ images }) => images) },
  ];
  return barChart('classes', { title, xLabel: '', yLabel: '', names: shown.map(({ label }) => label), series });
}

function coverageChart(
  name: string,
  title: string,
  { configured, proposed }: DatasetAnalysis,
  by: 'bySide' | 'byArea' | 'byClass',
): Promise<AnalysisChart> {
  const present = (row: CoverageRow) => row.objects > 0;
  const rows = configured.coverage[by].filter(present).slice(0, MAX_CLASSES);
  const percent = ({ share }: CoverageRow) => 100 * share!;
  const after = proposed.coverage[by].filter(present).slice(0, MAX_CLASSES);
  const series = isPoints(configured.defaultBoxes)
    ? [{ name: 'points', values: rows.map(percent) }]
    : [
        { name: 'configured default boxes', values: rows.map(percent) },
        { name: 'proposed', values: after.map(percent) },
      ];
  const names = rows.map((row) => row.name.replace(/^side /, ''));
  return barChart(name, { title, xLabel: '', yLabel: '% of the objects', names, series, yMax: 100 });
}

/** Draws the positions of objects in 10 x 10 parts of the image. */
async function positionsChart({ positions, imageSize }: DatasetAnalysis): Promise<AnalysisChart> {
  const title = 'Centres of the objects in the image';
  const parts = positions.map((_, i) => `${10 * i}`);
  const cells = positions.flatMap((row, y) => row.map((count, x) => [x, y, count]));
  const most = Math.max(...positions.flat());
  const height = Math.round(Math.min(900, Math.max(300, (560 * imageSize.height) / imageSize.width)));
  const svg = await chartSvg(
    {
      title: { text: title, left: 'center', top: 12 },
      grid: { left: 64, right: 110, top: 56, bottom: 56, outerBoundsMode: 'none' },
      xAxis: { type: 'category', data: parts, name: '% of the width, from', nameLocation: 'middle', nameGap: 30 },
      yAxis: {
        type: 'category',
        data: parts,
        inverse: true,
        name: '% of the height, from',
        nameLocation: 'middle',
        nameGap: 36,
      },
      visualMap: {
        min: 0,
        max: most,
        text: [String(most), '0'],
        right: 24,
        top: 'center',
        inRange: { color: ['#f4f7ff', '#5070dd', '#1b2a66'] },
      },
      series: [{ type: 'heatmap', data: cells }],
    },
    674,
    height,
  );
  return { name: 'positions', title, svg };
}

/** The lower end of the axes of shapes. Smaller shapes lie on the border. */
const MIN_SIDE = 1 / 128;

/** Draws the shapes of objects and default boxes on logarithmic axes, where equal distances are equal factors. */
async function shapesChart({ shapes, configured, proposed, maps, imageSize }: DatasetAnalysis): Promise<AnalysisChart> {
  const title = 'Width and height of the objects and the default boxes';
  const axis = (name: string, nameGap: number) => ({
    type: 'log',
    logBase: 2,
    min: MIN_SIDE,
    max: 1,
    axisLabel: { formatter: (side: number) => String(Number(side.toPrecision(2))) },
    name,
    nameLocation: 'middle',
    nameGap,
    splitLine: { show: false },
  });
  const points = ({ defaultBoxes }: DefaultBoxFit) =>
    isPoints(defaultBoxes)
      ? []
      : defaultBoxGrids(defaultBoxes, maps, imageSize).flatMap((grid) => grid.shapes.map(toPoint));
  const toPoint = ({ width, height }: { width: number; height: number }) => [
    Math.max(MIN_SIDE, Math.min(1, width)),
    Math.max(MIN_SIDE, Math.min(1, height)),
  ];
  const svg = await chartSvg(
    {
      title: { text: title, left: 'center', top: 12 },
      legend: { top: 40, itemGap: 32 },
      grid: { left: 72, right: 32, top: 80, bottom: 64, outerBoundsMode: 'none' },
      xAxis: axis('width, in parts of the image', 32),
      yAxis: axis('height, in parts of the image', 48),
      series: [
        { name: 'objects', type: 'scatter', symbolSize: 3, data: shapes.map(toPoint), itemStyle: { color: '#b8c2d8' } },
        {
          name: 'configured default boxes',
          type: 'scatter',
          symbol: 'diamond',
          symbolSize: 13,
          data: points(configured),
          itemStyle: { color: '#5070dd' },
        },
        {
          name: 'proposed',
          type: 'scatter',
          symbol: 'triangle',
          symbolSize: 12,
          data: points(proposed),
          itemStyle: { color: '#e8684a' },
        },
      ],
    },
    720,
    720,
  );
  return { name: 'shapes', title, svg };
}
