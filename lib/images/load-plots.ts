/** Loads `plot.ts` when a chart is drawn, because many programs draw none. It loads sharp separately to keep the event loop free. */
export async function loadPlots(): Promise<typeof import('./plot.ts')> {
  await import('sharp');
  return await import('./plot.ts');
}
