/** The options of a chart, as https://echarts.apache.org/en/option.html describes them. */
export type ChartOptions = Record<string, unknown>;

/** A chart that is rendered to text, without a display. */
export interface Chart {
  setOption(options: ChartOptions): void;
  renderToSVGString(): string;
  dispose(): void;
}

/**
 * Creates an empty chart; `width` and `height` are in pixels. The library loads in three parts, because one import would block the event
 * loop for 50 ms. The package has bundles of the used modules (scripts/bundle.mjs). The library itself, 68 MB, is not installed.
 */
export async function createChart(width: number, height: number): Promise<Chart> {
  await import('./echarts/renderer.ts');
  await import('./echarts/core.ts');
  const { init } = await import('./echarts/charts.ts');
  return init(null, null, { renderer: 'svg', ssr: true, width, height });
}
