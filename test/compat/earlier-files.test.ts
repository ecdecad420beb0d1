import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Detector } from '../../lib/detector/detector.ts';
import { internalsOf } from '../../lib/detector/detector-internals.ts';
import type { DetectorOptions } from '../../lib/detector/detector-options.ts';
import { exportDetector } from '../../lib/detector/export-detector.ts';
import { checkDetectorConfig, presetConfig, readLearning } from '../../lib/model/config.ts';
import { resolveLearning, scoresOf } from '../../lib/model/scores.ts';
import { Trainer } from '../../lib/training/trainer.ts';
import { readSafetensorsHeader, writeSafetensors } from '../../lib/weights/safetensors.ts';
import { rewriteManifest } from '../support/manifests.ts';
import { golden } from '../support/shared.ts';
import { openSquares, squareClasses } from '../support/squares.ts';
import { temporaryFolder } from '../support/voc.ts';

/**
 * Files of version 0.1.0 at b318340, which had loss and assigner in the configuration of the model and the preset `best`: what each run
 * left in `last/checkpoint.json` and `config.json`, and the metadata of its safetensors export. Weights are made here: their format is
 * the same.
 */
const names = ['article', 'best', 'chosen', 'giou', 'retinanet'] as const;
type Earlier = Record<'checkpoint' | 'config', { model: Record<string, unknown>; training: { options: object } }> & {
  metadata: Record<string, string>;
};
const earlier = Object.fromEntries(
  await Promise.all(names.map(async (name) => [name, (await golden(`compat/${name}.json`)) as Earlier])),
) as Record<(typeof names)[number], Earlier>;

/** How each of these runs was made, in the options of today. */
const today: Record<(typeof names)[number], Partial<DetectorOptions>> = {
  article: { preset: 'article' },
  best: { preset: 'ssd' },
  chosen: { preset: 'ssd', scores: 'sigmoid' },
  giou: { preset: 'ssd', nms: 'diou' },
  retinanet: { preset: 'ssd', head: 'retinanet' },
};
const shape = { classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 64, height: 64 } } as const;
const all = { scoreThreshold: 0, maxDetections: 1000 };

/** What a model of that version learned from, complete. */
function learned({ model }: Earlier['checkpoint']) {
  const ssd = { classification: 'hard-negative', box: 'smooth-l1', backgroundNegatives: false };
  return { loss: model.loss ?? ssd, assigner: model.assigner ?? 'ssd' };
}

describe.each(names)('a configuration of the earlier version: %s', (name) => {
  const { checkpoint } = earlier[name];

  it('is the one of today', () => {
    const { preset = 'ssd', ...choices } = today[name] as Required<Pick<DetectorOptions, 'preset'>>;
    const expected = presetConfig(preset ?? 'ssd', 'convnext_test', shape.imageSize, choices);
    expect(checkDetectorConfig(checkpoint.model)).toEqual(expected);
  });

  it('says what its training learned from', () => {
    const config = checkDetectorConfig(checkpoint.model);
    expect(resolveLearning(readLearning(checkpoint.model), config)).toEqual(learned(checkpoint));
  });
});

describe('a checkpoint of the earlier version', () => {
  const openData = async () => openSquares(join(await temporaryFolder(), 'data'), 8);

  /** Gives a checkpoint the manifest that the earlier version wrote for such a model. */
  async function age(dir: string, { model, training }: Earlier['checkpoint'], options: object = training.options) {
    await rewriteManifest(dir, (manifest) => {
      const { compute: _, data: __, versions: ___, ...state } = manifest.training ?? { ...training, options };
      return { ...manifest, model, training: { ...state, options } };
    });
  }

  it.each(names)('detects the same, and is trained on with the same loss: %s', async (name) => {
    const [data, dir] = [await openData(), join(await temporaryFolder(), 'best')];
    await using detector = await Detector.create({ ...shape, ...today[name], seed: 1 });
    await detector.save(dir);
    const expected = await detector.detect(data.samples[0]!.imagePath, all);
    await age(dir, earlier[name].checkpoint);

    await using loaded = await Detector.load(dir);
    expect(loaded.config).toEqual(detector.config);
    expect(await loaded.detect(data.samples[0]!.imagePath, all)).toEqual(expected);
    const { preset } = loaded.config;
    const trainer = new Trainer(loaded, { train: data, valid: data, outDir: 'run' });
    expect(resolveLearning(trainer.options, loaded.config)).toEqual(learned(earlier[name].checkpoint));
    expect(preset).toBe(name === 'article' ? 'article' : 'ssd');
    expect(internalsOf(loaded).trainedEpochs).toBe(1);
  });

  it.each(['giou', 'chosen'] as const)('goes on as if never interrupted: %s', async (name) => {
    const [data, folder] = [await openData(), await temporaryFolder()];
    const { loss, assigner } = learned(earlier[name].checkpoint) as never as Pick<DetectorOptions, 'loss' | 'assigner'>;
    const { classification, box, backgroundNegatives } = loss!;
    const given = { train: data, valid: data, epochs: 2, batchSize: 4 };
    const learning = { loss: { classification, box }, assigner, backgroundNegatives };
    const runTo = async (outDir: string, end?: number) => {
      await using detector = await Detector.create({ ...shape, ...today[name], seed: 1 });
      const abort = new AbortController();
      const onEpoch = ({ epoch }: { epoch: number }) => void (epoch === end && abort.abort());
      const run = new Trainer(detector, { ...given, ...learning, outDir }).run({ onEpoch, signal: abort.signal });
      await (end === undefined ? run : expect(run).rejects.toMatchObject({ name: 'AbortError' }));
    };
    const [whole, halves] = [join(folder, 'whole'), join(folder, 'halves')];
    await runTo(whole);
    await runTo(halves, 1);
    const last = join(halves, 'last');
    const { options } = JSON.parse(await readFile(join(last, 'checkpoint.json'), 'utf8')).training;
    const { epochs: _, patience: __, loss: ___, assigner: ____, backgroundNegatives: _____, ...kept } = options;
    await age(last, earlier[name].checkpoint, kept);
    await using detector = await Detector.load(last);
    await new Trainer(detector, { train: data, valid: data, outDir: halves, epochs: 2, resume: true }).run();
    const hash = async (dir: string) =>
      JSON.parse(await readFile(join(dir, 'last', 'checkpoint.json'), 'utf8')).files['model.safetensors'].sha256;
    expect(await hash(halves)).toBe(await hash(whole));
  });
});

describe('a safetensors file of the earlier version', () => {
  it.each(names.filter((name) => name !== 'article'))(
    'says the model, and what it was trained on: %s',
    async (name) => {
      const folder = await temporaryFolder();
      const [own, path] = [join(folder, 'own.safetensors'), join(folder, 'detector.safetensors')];
      await using original = await Detector.create({ ...shape, ...today[name], seed: 1 });
      await exportDetector(original, own, { format: 'safetensors' });
      await withMetadata(own, path, earlier[name].metadata);
      await using detector = await Detector.create({ classes: squareClasses, weights: path });
      expect(detector.config).toEqual(original.config);
      expect(detector.weightReport).toMatchObject({ head: true, missing: [], unexpected: [] });
      const { learning } = internalsOf(detector);
      expect(resolveLearning(learning, detector.config)).toEqual(learned(earlier[name].checkpoint));
      expect(scoresOf(detector.config)).toBe(scoresOf(original.config));
    },
  );
});

/** A copy of a safetensors file with other metadata. */
async function withMetadata(from: string, to: string, metadata: Record<string, string>): Promise<void> {
  const [{ tensors }, bytes] = [await readSafetensorsHeader(from), await readFile(from)];
  await writeSafetensors(to, tensors, metadata, async (spans) => {
    const file = await readFile(to);
    for (const [i, { offset, byteLength }] of spans.entries()) {
      bytes.copy(file, offset, tensors[i]!.offset, tensors[i]!.offset + byteLength);
    }
    await writeFile(to, file);
  });
}

it('has every file of this test', async () => {
  expect((await readdir('test/fixtures/compat')).sort()).toEqual(
    [...names.map((name) => `${name}.json`), 'flags.json'].sort(),
  );
});
