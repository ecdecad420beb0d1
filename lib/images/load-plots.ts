/** Loads `plot.ts` when a chart is drawn, which many programs never do; sharp by itself, for the sake of the event loop. */
export async function loadPlots(): Promise<typeof import('./plot.ts')> {
  await import('sharp');
  return await import('./plot.ts');
}
