import { setImmediate } from 'node:timers/promises';
import sharp from 'sharp';
import { type ChartOptions, createChart } from './echarts.ts';
import { outlineChartText } from './font.ts';

export interface ChartSeries {
  name: string;
  /** The points in the order of x. A point whose y is null or not finite leaves a gap. */
  points: readonly (readonly [x: number, y: number | null])[];
}

export interface LineChartOptions {
  title: string;
  xLabel: string;
  yLabel: string;
  series: readonly ChartSeries[];
  /**
   * The lower end of the y axis.
   * @default chosen from the points
   */
  yMin?: number;
  /**
   * The width in pixels.
   * @default 900
   */
  width?: number;
  height?: number;
}

/** The number of points above which a line has no dots. */
const MAX_DOTS = 60;

/** Draws a line chart as SVG whose x axis begins at 0. It needs no display and no font. */
export async function lineChartSvg(options: LineChartOptions): Promise<string> {
  const { title, xLabel, yLabel, series, yMin, width, height } = options;
  const xs = series.flatMap(({ points }) => points.map(([x]) => x));
  const chart: ChartOptions = {
    title: { text: title, left: 'center', top: 12 },
    legend: { bottom: 10, itemGap: 32, show: series.length > 1 },
    grid: { left: 80, right: 32, top: 60, bottom: series.length > 1 ? 92 : 64, outerBoundsMode: 'none' },
    xAxis: {
      type: 'value',
      name: xLabel,
      nameLocation: 'middle',
      nameGap: 30,
      minInterval: 1,
      min: Math.floor(xs.reduce((min, x) => Math.min(min, x), 0)),
      max: Math.ceil(xs.reduce((max, x) => Math.max(max, x), 1)),
      splitLine: { show: false },
    },
    yAxis: {
      type: 'value',
      name: yLabel,
      nameLocation: 'middle',
      nameGap: 52,
      scale: true,
      ...(yMin !== undefined && { min: yMin }),
    },
    series: series.map(({ name, points }) => ({
      name,
      type: 'line',
      showSymbol: points.length <= MAX_DOTS,
      symbolSize: 6,
      data: points.map(([x, y]) => [x, y !== null && Number.isFinite(y) ? y : null]),
    })),
  };
  return chartSvg(chart, width, height);
}

/**
 * Renders a chart as SVG with text as outlines; sizes are in pixels. The first call takes long, so the event loop gets a turn after each
 * step.
 */
export async function chartSvg(options: ChartOptions, width = 900, height = 560): Promise<string> {
  const chart = await createChart(width, height);
  try {
    await setImmediate();
    chart.setOption({ animation: false, backgroundColor: '#fff', ...options });
    await setImmediate();
    const svg = chart.renderToSVGString();
    await setImmediate();
    return outlineChartText(svg);
  } finally {
    chart.dispose();
  }
}

/** Converts an SVG image to PNG. */
export async function renderSvg(svg: string): Promise<Buffer> {
  return sharp(Buffer.from(svg)).png().toBuffer();
}
