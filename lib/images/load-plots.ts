/**
 * Loads `plot.ts` when a chart is drawn, which many programs never do. Its chart library comes first and by itself: all at once
 * they would hold the event loop for a tenth of a second.
 */
export async function loadPlots(): Promise<typeof import('./plot.ts')> {
  await import('sharp');
  await import('echarts/core');
  return await import('./plot.ts');
}
