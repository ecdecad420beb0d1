import { escapeXml } from '../../images/font.ts';
import { isPoints } from '../../model/default-box-options.ts';
import type { DatasetAnalysis, DefaultBoxFit } from '../dataset-analysis.ts';
import type { AnalysisChart } from './charts.ts';
import { analysisTables, type TextTable } from './tables.ts';

const style = `
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: right; overflow-wrap: anywhere; }
th:first-child, td:first-child { text-align: left; }
.text td { text-align: left; }
.warnings { background: #fff4e0; border-left: 4px solid #e8a33a; padding: .6rem 1rem .6rem 2rem; }
pre { background: #f4f5f7; padding: .8rem; white-space: pre-wrap; }
img { max-width: 100%; border: 1px solid #eee; margin: .5rem 0; }
`;

/**
 * Writes an HTML page without a script, further files or network. Every text is escaped. Charts are images, in which a browser runs no
 * code.
 */
export function analysisPage(title: string, analysis: DatasetAnalysis, charts: readonly AnalysisChart[]): string {
  const { warnings, proposed } = analysis;
  const items = warnings.map((warning) => `<li>${escapeXml(warning)}</li>`).join('\n');
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escapeXml(title)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escapeXml(title)}</h1>
${items && `<ul class="warnings">\n${items}\n</ul>`}
${analysisTables(analysis).map(tableHtml).join('\n')}
${proposalHtml(proposed)}
<h2>Charts</h2>
${charts.map(chartHtml).join('\n')}
</body>
</html>
`;
}

function proposalHtml({ defaultBoxes }: DefaultBoxFit): string {
  if (isPoints(defaultBoxes)) return '';
  return `<h2>Proposed default boxes</h2>
<pre>${escapeXml(JSON.stringify(defaultBoxes))}</pre>`;
}

function tableHtml({ title, heading, rows, isText }: TextTable): string {
  const cells = (tag: string, row: readonly string[]) =>
    `<tr>${row.map((cell) => `<${tag}>${escapeXml(cell)}</${tag}>`).join('')}</tr>`;
  return `<h2>${escapeXml(title)}</h2>
<table${isText ? ' class="text"' : ''}>
<thead>${cells('th', heading)}</thead>
<tbody>
${rows.map((row) => cells('td', row)).join('\n')}
</tbody>
</table>`;
}

function chartHtml({ title, svg }: AnalysisChart): string {
  const data = Buffer.from(svg).toString('base64');
  return `<img alt="${escapeXml(title)}" src="data:image/svg+xml;base64,${data}">`;
}
