/** What a chart shows, as https://echarts.apache.org/en/option.html describes it. */
export type ChartOptions = Record<string, unknown>;

/** A chart that is drawn as text, without a display. */
export interface Chart {
  setOption(options: ChartOptions): void;
  renderToSVGString(): string;
  dispose(): void;
}

/**
 * An empty chart, its size in pixels. The library is loaded in three parts: all at once they would hold the event loop for a
 * twentieth of a second. In the package they are bundles of the modules that are used (scripts/bundle.mjs), and the library itself,
 * 68 MB, is not installed.
 */
export async function createChart(width: number, height: number): Promise<Chart> {
  await import('./echarts/renderer.ts');
  await import('./echarts/core.ts');
  const { init } = await import('./echarts/charts.ts');
  return init(null, null, { renderer: 'svg', ssr: true, width, height });
}
