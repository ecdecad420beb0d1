import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import { resolveTrainerOptions } from '../../../lib/training/resolve-options.ts';
import { readSettings, settingsOf, writeSettings } from '../../../lib/training/settings.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { expectError, temporaryFolder, writeFiles } from '../../support/voc.ts';

const shape = { classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 64, height: 64 } } as const;

describe('the settings of a run', () => {
  it('come back from their file, and make the same run again', async () => {
    const outDir = await temporaryFolder();
    const data = await openSquares(join(outDir, 'data'), 4);
    await using detector = await Detector.create({ ...shape, scores: 'sigmoid', nms: 'diou', preset: 'best' });
    const subject = { preset: 'ssd', model: detector.config } as const;
    const given: TrainerOptions = {
      train: data,
      valid: data,
      outDir,
      loss: { box: 'giou' },
      augmentation: 'ssd',
      clipGradNorm: null,
    };
    const options = resolveTrainerOptions({ ...given, milestones: [3, 5], workers: 3 }, subject);
    await writeSettings(detector, options);
    const settings = await readSettings(join(outDir, 'settings.yaml'));
    expect(settings).toEqual(settingsOf(detector, options));
    expect(settings.detector).toMatchObject({
      preset: 'ssd',
      backbone: 'convnext_test',
      scores: 'sigmoid',
      nms: 'diou',
    });
    expect(settings.training).toMatchObject({ decodeConcurrency: 3, loss: { box: 'giou' }, clipGradNorm: null });
    expect(settings.training.augmentation).toMatchObject({ zoomOut: { p: 0.5, sideRange: [1, 4] } });

    await using again = await Detector.create({ ...settings.detector, classes: squareClasses });
    expect(again.config).toEqual(detector.config);
    expect(resolveTrainerOptions({ train: data, valid: data, outDir, ...settings.training }, subject)).toEqual(options);
  });

  it('name their schema, and what is missing in them', async () => {
    const outDir = await temporaryFolder();
    const data = await openSquares(join(outDir, 'data'), 4);
    const checkpoint = join(outDir, 'checkpoint');
    await using detector = await Detector.create(shape);
    await detector.save(checkpoint);
    await using loaded = await Detector.load(checkpoint);
    const options = resolveTrainerOptions({ train: data, valid: data, outDir }, { preset: 'ssd' });
    await writeSettings(loaded, options);
    const text = await readFile(join(outDir, 'settings.yaml'), 'utf8');
    const [, schema] = /^# yaml-language-server: \$schema=(.*)\n/.exec(text)!;
    expect(resolve(outDir, schema!)).toBe(resolve('configs/settings.schema.json'));
    expect(dirname(schema!)).not.toContain('\\');
    expect(text).toContain('# The detector was trained before: name the file of its weights with --weights.');
    await writeSettings(detector, options);
    expect(await readFile(join(outDir, 'settings.yaml'), 'utf8')).not.toContain('was trained before');
  });
});

describe('readSettings', () => {
  const read = async (text: string) => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'a.yaml': text });
    return readSettings(join(folder, 'a.yaml'));
  };

  it('takes a part of a file, and null for what a preset has', async () => {
    expect(await read('')).toEqual({ detector: {}, training: {} });
    expect(await read('training:\n  clipGradNorm: null\n  workers: 4\n')).toEqual({
      detector: {},
      training: { clipGradNorm: null, decodeConcurrency: 4 },
    });
  });

  it.each([
    ['training: { epochs: 0 }', 'Expected integer >= 1 for training.epochs but received 0'],
    ['training: { epoch: 3 }', 'Unknown key "epoch" in training; did you mean "epochs"?'],
    ['training: { loss: { box: iou } }', 'one of smooth-l1, l1, giou, diou, ciou for training.loss.box'],
    ['detector: { preset: sdd }', 'did you mean "ssd"?'],
    ['detector: { classes: [a] }', 'Unknown key "classes" in detector'],
    ['epochs: 3', 'Unknown key "epochs" in the file. Known keys: detector, training'],
    ['training: [', 'Flow sequence'],
  ])('refuses %j, naming the file', async (text, message) => {
    await expectError(read(text), 'CONFIG_INVALID', message);
    await expectError(read(text), 'CONFIG_INVALID', 'a.yaml"');
  });

  it('refuses a file that is not there', async () => {
    await expectError(readSettings('none.yaml'), 'CONFIG_INVALID', 'Settings "none.yaml": it does not exist');
  });
});
