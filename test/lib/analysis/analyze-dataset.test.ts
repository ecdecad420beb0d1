import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AnalysisHooks, AnalysisOptions } from '../../../lib/analysis/analysis-options.ts';
import { analyzeDataset } from '../../../lib/analysis/analyze-dataset.ts';
import { VocDataset } from '../../../lib/data/voc-dataset.ts';
import { presetConfig } from '../../../lib/model/config.ts';
import { bccdRoot, hasBccd } from '../../support/shared.ts';
import { expectError, solid, temporaryFolder, vocObject, vocXml, writeFiles } from '../../support/voc.ts';

const classes = ['__background__', 'cat', 'dog', 'eel'];
const whole = '<size><width>64</width><height>48</height><depth>3</depth></size>';

/** Four images of 64 x 48: two with objects, one of them a copy, one without any, and one whose XML is broken. */
async function writeDataset(objects: [first: string, second: string]): Promise<VocDataset> {
  const folder = await temporaryFolder();
  const [orange, blue] = await Promise.all([
    solid(64, 48).png().toBuffer(),
    solid(64, 48, { r: 0, g: 0, b: 255 }).png().toBuffer(),
  ]);
  await writeFiles(folder, {
    'images/a.png': orange,
    'images/b.png': blue,
    'images/c.png': orange,
    'images/d.png': orange,
    'labels/a.xml': vocXml(objects[0], whole),
    'labels/b.xml': vocXml(objects[1], whole),
    'labels/c.xml': vocXml('', whole),
    'labels/d.xml': '<annotation><object>',
  });
  return VocDataset.open({ images: join(folder, 'images'), annotations: join(folder, 'labels'), classes });
}

const objects: [string, string] = [
  vocObject('cat', 0, 0, 16, 12) + vocObject('cat', 32, 24, 64, 48, '<difficult>1</difficult>'),
  vocObject('dog', 16, 12, 48, 36) + vocObject('cat', 60, 40, 70, 60),
];

describe('analyzeDataset', () => {
  it('counts and describes what is there', async () => {
    const progress: number[][] = [];
    const onProgress = (done: number, total: number) => void progress.push([done, total]);
    const analysis = await analyzeDataset(await writeDataset(objects), { preset: 'article' }, { onProgress });
    expect(progress).toEqual([1, 2, 3].map((done) => [done, 3]));
    expect(analysis).toMatchObject({
      images: 3,
      objects: 4,
      classes: [
        { label: 'cat', objects: 3, images: 2, difficult: 1 },
        { label: 'dog', objects: 1, images: 1, difficult: 0 },
        { label: 'eel', objects: 0, images: 0, difficult: 0 },
      ],
      objectsPerImage: { min: 0, max: 2, mean: 4 / 3, counts: [1, 0, 2] },
      imagesWithoutObjects: ['c'],
      duplicateImages: [['a', 'c']],
      // .25, .5, .5, and 4 x 8 pixels of 64 x 48.
      width: { min: 0.0625, max: 0.5, median: 0.375 },
      aspectRatio: { max: 1, min: 0.0625 / (8 / 48) },
      maps: [{ width: 20, height: 20 }],
      imageSize: { width: 640, height: 640 },
    });
    expect(analysis.issues.map(({ kind }) => kind).sort()).toEqual(['annotation-invalid', 'box-clipped']);
    expect(analysis.positions[1]![1]).toBe(1);
    expect(analysis.positions.flat().reduce((sum, count) => sum + count)).toBe(4);
    expect(analysis.warnings.join('\n')).toContain('No object of eel');
    expect(analysis.warnings.join('\n')).toContain('a = c');
    expect(JSON.parse(JSON.stringify(analysis))).toEqual(analysis);
  });

  it('measures the configured and the proposed default boxes', async () => {
    const dataset = await writeDataset(objects);
    const defaultBoxes = { aspectRatios: [[]], scales: [0.5, 0.5], steps: [], clip: true };
    const maps = [{ width: 4, height: 4 }];
    const { configured, proposed } = await analyzeDataset(dataset, {
      preset: 'article',
      defaultBoxes,
      maps,
      ratios: 1,
    });
    expect(configured.defaultBoxes).toEqual(defaultBoxes);
    // The halves are off by a quarter of their side both ways: 9 / (2 * 16 - 9). The quarter fills a cell, as no default box does yet.
    expect(configured.coverage).toMatchObject({ boxes: 32, all: { objects: 4, covered: 0 } });
    expect(configured.coverage.bySide[4]).toMatchObject({ objects: 2, covered: 0 });
    expect(proposed.coverage.all.covered).toBeGreaterThanOrEqual(1);
    expect(proposed.defaultBoxes).toHaveProperty('scales.length', 2);
  });

  it('warns of the default boxes of the article, and only where they are poor', async () => {
    const article = { preset: 'article' } as const;
    const poor = await analyzeDataset(await writeDataset(objects), article);
    expect(poor.warnings[0]).toMatch(/^Only 25\.0 % of the objects reach IoU 0\.5 with one of the 1600 default boxes/);
    expect(poor.warnings[1]).toContain('side 0.4 - 0.8 (0.0 %)');
    // Squares of .15 of the side, in the middle of a cell.
    const fitting = vocObject('cat', 28.8, 21.6, 38.4, 28.8) + vocObject('dog', 9.6, 7.2, 19.2, 14.4);
    const good = await analyzeDataset(await writeDataset([fitting, fitting]), article);
    expect(good.configured.coverage.all.share).toBe(1);
    expect(good.warnings.join('\n')).not.toContain('IoU');
  });

  it('takes a data set without any object', async () => {
    const analysis = await analyzeDataset(await writeDataset(['', '']));
    expect(analysis).toMatchObject({
      objects: 0,
      imagesWithoutObjects: ['a', 'b', 'c'],
      side: null,
      shapes: [],
      configured: { coverage: { meanIou: null, all: { objects: 0, share: null } } },
    });
    expect(analysis.proposed.defaultBoxes).toEqual(analysis.configured.defaultBoxes);
    expect(analysis.warnings).toContain('3 of 3 images have no object: a, b, c.');
  });

  it('is the data set that refuses to be without images', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'images/a.txt': '', 'labels/a.txt': '' });
    const opening = VocDataset.open({ images: join(folder, 'images'), annotations: join(folder, 'labels'), classes });
    await expectError(opening, 'DATASET_EMPTY', 'no image');
  });

  it('stops with the reason of the signal, in any part', async () => {
    const dataset = await writeDataset(objects);
    for (const at of [1, 3]) {
      const abort = new AbortController();
      const onProgress = (done: number) => (done === at ? abort.abort(new Error(`at ${at}`)) : undefined);
      await expect(analyzeDataset(dataset, {}, { onProgress, signal: abort.signal })).rejects.toThrow(`at ${at}`);
    }
  });

  it.each<[unknown, string]>([
    [{ imageSize: { width: 100, height: 64 } }, 'multiple of 32'],
    [{ maps: [] }, 'integer from 1 to 6 for maps.length'],
    [{ maps: [{ width: 0, height: 2 }] }, 'maps[0].width'],
    [{ maps: [{ width: 2, height: 2048 }] }, 'maps[0].height'],
    [{ maps: 'all' }, 'array for maps'],
    [{ ratios: -1 }, 'ratios'],
    [{ seed: 0.5 }, 'seed'],
    [{ preset: 'default' }, 'preset'],
    [{ defaultBoxes: { aspectRatios: [[]], scales: [1], steps: [], clip: true } }, 'defaultBoxes.scales.length'],
    [{ anchors: 9 }, 'Unknown key "anchors"'],
  ])('refuses %o', async (options, message) => {
    const dataset = await writeDataset(objects);
    await expect(analyzeDataset(dataset, options as AnalysisOptions)).rejects.toThrow(message);
  });

  it.each([
    ['options', (hooks: AnalysisHooks) => [{ seed: 1, ...hooks }] as const],
    ['the earlier third argument', (hooks: AnalysisHooks) => [{ seed: 1 }, hooks] as const],
  ])('reports progress and gives up at the signal, as %s', async (_, withHooks) => {
    const dataset = await writeDataset(objects);
    const done: number[] = [];
    await analyzeDataset(dataset, ...withHooks({ onProgress: (count) => void done.push(count) }));
    expect(done).toEqual(dataset.samples.map((_, i) => i + 1));
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(analyzeDataset(dataset, ...withHooks({ signal }))).rejects.toThrow('enough');
    await expect(analyzeDataset(dataset, ...withHooks({ signal: {} as never }))).rejects.toThrow('for signal');
  });

  it('refuses what is no data set, and hooks that are none', async () => {
    await expect(analyzeDataset({} as VocDataset)).rejects.toThrow('for dataset.classes');
    const dataset = await writeDataset(objects);
    await expect(analyzeDataset(dataset, {}, { onProgress: 1 as never })).rejects.toThrow('onProgress');
  });
});

describe.skipIf(!hasBccd)('analyzeDataset on BCCD', () => {
  it('finds the platelets out of reach of the article, and default boxes that reach them on a pyramid', async () => {
    const bccd = ['__background__', 'RBC', 'WBC', 'Platelets'];
    const dataset = await VocDataset.open({ root: bccdRoot, split: 'train', classes: bccd, verifyImages: false });
    const { warnings, configured } = await analyzeDataset(dataset, { preset: 'article' });
    expect(configured.coverage.byClass[2]).toMatchObject({ name: 'Platelets', objects: 209 });
    expect(configured.coverage.byClass[2]!.share).toBeLessThan(0.05);
    expect(warnings.join('\n')).toContain('side 0.05 - 0.1 (0.0 %)');

    const best = await analyzeDataset(dataset);
    expect(best.maps.map(({ width }) => width)).toEqual([80, 40, 20, 10, 5, 3]);
    expect(best.configured.coverage.byClass[2]!.share).toBeGreaterThan(0.95);
    expect(best.configured.coverage.all.share).toBeGreaterThan(0.95);

    const maps = [80, 40, 20, 10, 5].map((cells) => ({ width: cells, height: cells }));
    const { defaultBoxes } = presetConfig('article', 'convnext_tiny', { width: 640, height: 640 });
    const { proposed } = await analyzeDataset(dataset, { maps, defaultBoxes });
    expect(proposed.coverage.byClass[2]!.share).toBeGreaterThan(0.95);
    expect(proposed.coverage.all.share).toBeGreaterThan(0.99);
  });
});
