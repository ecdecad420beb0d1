import { join } from 'node:path';
import { ensureWritableDirectory, writeFileAtomic } from '../../files/atomic-file.ts';
import { loadPlots } from '../../images/load-plots.ts';
import type { DatasetAnalysis } from '../dataset-analysis.ts';
import type { AnalysisChart } from './charts.ts';

/** The HTML page among the files of a report. */
export const REPORT_PAGE = 'report.html';

/**
 * Writes the charts of an analysis as PNG files, and `report.html`, which contains all charts. It creates the folder if it is missing. The
 * result is the names of the files.
 * @throws {DetectorError} `OUTPUT_NOT_WRITABLE`
 */
export async function writeAnalysisReport(dir: string, title: string, analysis: DatasetAnalysis): Promise<string[]> {
  await ensureWritableDirectory(dir);
  const { renderSvg } = await loadPlots();
  const { analysisCharts } = await import('./charts.ts');
  const { analysisPage } = await import('./page.ts');
  const charts: AnalysisChart[] = [];
  for await (const chart of analysisCharts(analysis)) {
    await writeFileAtomic(join(dir, `${chart.name}.png`), await renderSvg(chart.svg));
    charts.push(chart);
  }
  await writeFileAtomic(join(dir, REPORT_PAGE), analysisPage(title, analysis, charts));
  return [...charts.map(({ name }) => `${name}.png`), REPORT_PAGE];
}
