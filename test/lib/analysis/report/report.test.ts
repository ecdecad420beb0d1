import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { analyzeDataset } from '../../../../lib/analysis/analyze-dataset.ts';
import type { DatasetAnalysis } from '../../../../lib/analysis/dataset-analysis.ts';
import { writeAnalysisReport } from '../../../../lib/analysis/report/report.ts';
import { VocDataset } from '../../../../lib/data/voc-dataset.ts';
import { openSquares } from '../../../support/squares.ts';
import { expectError, solid, temporaryFolder, vocObject, vocXml, writeFiles } from '../../../support/voc.ts';

const hostile = '<script>alert("1")</script>&amp;\'';

/** One image with an object of a class that is markup, drawn twice. */
async function hostileAnalysis(): Promise<DatasetAnalysis> {
  const folder = await temporaryFolder();
  const name = hostile.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  await writeFiles(folder, {
    'images/<b>.png': await solid(64, 48).png().toBuffer(),
    'labels/<b>.xml': vocXml(vocObject(name, 1, 1, 30, 30) + vocObject(name, 1, 1, 30, 30)),
  });
  const classes = ['__background__', hostile, '</svg><img src=x onerror=alert(1)>'];
  const sources = { images: join(folder, 'images'), annotations: join(folder, 'labels') };
  return analyzeDataset(await VocDataset.open({ ...sources, classes }), { imageSize: { width: 64, height: 64 } });
}

/** The charts within a page, as text. */
function chartsOf(page: string): string[] {
  return [...page.matchAll(/src="data:image\/svg\+xml;base64,([^"]*)"/g)].map(([, data]) =>
    Buffer.from(data!, 'base64').toString(),
  );
}

describe('writeAnalysisReport', () => {
  it('writes charts that can be opened, and a page with all of them', async () => {
    const dir = join(await temporaryFolder(), 'new', 'report');
    const analysis = await analyzeDataset(await openSquares(await temporaryFolder(), 7));
    const files = await writeAnalysisReport(dir, 'squares', analysis);
    expect((await readdir(dir)).sort()).toEqual([...files].sort());
    expect(files).toHaveLength(10);
    expect(files.at(-1)).toBe('report.html');
    for (const file of files.slice(0, -1)) {
      const { format, width, height } = await sharp(join(dir, file)).metadata();
      expect(format).toBe('png');
      expect(Math.min(width, height)).toBeGreaterThanOrEqual(500);
    }
    const page = await readFile(join(dir, 'report.html'), 'utf8');
    expect(chartsOf(page)).toHaveLength(9);
    expect(page).toContain('<h1>squares</h1>');
    for (const warning of analysis.warnings) expect(page).toContain(warning.replace("'", '&#39;'));
  });

  it('needs nothing from outside and runs nothing', async () => {
    const dir = await temporaryFolder();
    await writeAnalysisReport(dir, hostile, await hostileAnalysis());
    const page = await readFile(join(dir, 'report.html'), 'utf8');
    const charts = chartsOf(page);
    const tags = page.match(/<[a-z]+/gi)!;
    expect(new Set(tags)).not.toContain('<script');
    expect(tags.filter((tag) => tag === '<img')).toHaveLength(charts.length);
    expect(page).toContain('&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#38;amp;&#39;');
    expect(page).toContain('duplicate');
    for (const text of [page, ...charts]) {
      expect(text).not.toMatch(/<script|<img src=x|onerror=(?!alert\(1\)&)/i);
      expect(text.replaceAll('http://www.w3.org/', '')).not.toMatch(/https?:|href=|url\((?!#)/i);
    }
  });

  it('is short for a data set without objects', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, {
      'images/a.png': await solid(64, 48).png().toBuffer(),
      'labels/a.xml': vocXml(''),
    });
    const sources = { images: join(folder, 'images'), annotations: join(folder, 'labels') };
    const analysis = await analyzeDataset(await VocDataset.open({ ...sources, classes: ['__background__', 'cat'] }));
    expect(await writeAnalysisReport(folder, 'empty', analysis)).toEqual(['objects-per-image.png', 'report.html']);
    const page = await readFile(join(folder, 'report.html'), 'utf8');
    expect(page).toContain('No object of cat');
    expect(page).not.toMatch(/NaN|undefined|null/);
  });

  it('says that the directory cannot be written', async () => {
    const file = join(await temporaryFolder(), 'a-file');
    await writeFile(file, 'mine');
    await expectError(writeAnalysisReport(file, 'x', await hostileAnalysis()), 'OUTPUT_NOT_WRITABLE', file);
  });
});
