import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import * as library from '../../lib/index.ts';

it('exports what docs/api.md describes', () => {
  expect(Object.keys(library).sort()).toEqual([
    'Dataset',
    'Detector',
    'DetectorError',
    'Evaluator',
    'Trainer',
    'VocDataset',
    'analyzeDataset',
    'augmentationNames',
    'averagePrecisionByArea',
    'backboneNames',
    'cocoAveragePrecision',
    'exportDetector',
    'formatIssues',
    'loadDatasetConfig',
    'openDataset',
    'presetNames',
    'previewAugmentation',
    'splitDataset',
    'ssdAugmentation',
    'torchmetricsMeanAveragePrecision',
    'vocAveragePrecision',
    'writeAnalysisReport',
    'writeDataset',
  ]);
});

it('importing it loads nothing native, even where LibTorch is missing', async () => {
  const program = `
    import { cocoAveragePrecision } from './lib/index.ts';
    const { ap } = await cocoAveragePrecision([]);
    const { sharedObjects } = process.report.getReport();
    console.log(JSON.stringify({ ap, native: sharedObjects.filter((path) => /torch|vips|sharp|dinov3_det/.test(path)) }));`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', program],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)), env: { ...process.env, LIBTORCH: '/no/such/folder' } },
  );
  expect(JSON.parse(stdout)).toEqual({ ap: -1, native: [] });
});
