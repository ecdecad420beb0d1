import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { random } from '../../../lib/base/random.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import { readSafetensorsHeader } from '../../../lib/weights/safetensors.ts';
import { fixture } from '../../support/shared.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { recordsOf, withRecords } from '../../support/torchscript-archive.ts';
import { expectError, noise, temporaryFolder } from '../../support/voc.ts';

const create = (file: string, more: Partial<DetectorOptions> = {}) =>
  Detector.create({
    preset: 'article',
    classes: squareClasses,
    backbone: { torchscript: file },
    imageSize: { width: 64, height: 64 },
    ...more,
  });
const script = (name: string) => fixture(`torchscript/${name}.pt`);

describe('a TorchScript backbone', () => {
  it.each([
    ['one_map', 2 * 2 * 4],
    ['three_maps', 8 * 8 * 4 + 4 * 4 * 6 + 2 * 2 * 6],
    ['three_maps_traced', 8 * 8 * 4 + 4 * 4 * 6 + 2 * 2 * 6],
  ])('%s: its channels and strides are found by one forward pass', async (name, boxes) => {
    await using detector = await create(script(name));
    expect((await detector.summary()).defaultBoxes).toBe(boxes);
    const image = { data: await noise(64, 64).raw().toBuffer(), width: 64, height: 64 };
    expect((await detector.detect(image, { scoreThreshold: 0 })).length).toBeGreaterThan(0);
  });

  it.each(['one_map', 'three_maps', 'three_maps_traced'])('%s: its tensors arrive with every bit', async (name) => {
    let count = 0;
    const draw = () => Math.floor(random(7, count++, 0, 0) * 256);
    const sound = await readFile(script(name));
    const paths = (await recordsOf(sound)).map(([path]) => path.slice(path.indexOf('/') + 1));
    const scrambled = await withRecords(
      sound,
      Object.fromEntries(
        paths.filter((path) => /^data\/\d+$/.test(path)).map((path) => [path, (bytes) => bytes.map(draw) as Buffer]),
      ),
    );
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'a.pt'), scrambled);
    await using detector = await create(join(folder, 'a.pt'));
    await detector.save(join(folder, 'model'));

    const file = await readFile(join(folder, 'model', 'model.safetensors'));
    const { tensors } = await readSafetensorsHeader(join(folder, 'model', 'model.safetensors'));
    const backbone = tensors.filter(({ name }) => name.startsWith('backbone.'));
    const found = backbone.map(({ offset, byteLength }) => file.toString('hex', offset, offset + byteLength));
    const stored = (await recordsOf(scrambled)).filter(([path]) => /\/data\/\d+$/.test(path));
    expect(found.sort()).toEqual(stored.map(([, bytes]) => bytes.toString('hex')).sort());
  });

  it('is trained, saved with its program, and loaded from the checkpoint alone', async () => {
    const folder = await temporaryFolder();
    const dataset = await openSquares(folder, 4);
    const copy = join(folder, 'backbone.pt');
    await writeFile(copy, await readFile(script('one_map')));
    await using detector = await create(copy);
    const outDir = join(folder, 'run');
    const options = { train: dataset, valid: dataset, outDir, epochs: 1, batchSize: 2, fineTune: true };
    await new Trainer(detector, { ...options, learningRate: 1e-2 }).run();
    await writeFile(copy, 'gone');

    await using loaded = await Detector.load(join(outDir, 'last'));
    const image = dataset.samples[0]!.imagePath;
    const all = { scoreThreshold: 0 };
    expect(await loaded.detect(image, all)).toEqual(await detector.detect(image, all));
    await using untrained = await create(script('one_map'));
    expect(await loaded.detect(image, all)).not.toEqual(await untrained.detect(image, all));
  });

  it('that does not return maps is refused', async () => {
    await expectError(create(script('wrong_rank')), 'WEIGHTS_MISMATCH', 'one map [N, C, h, w]');
  });

  it.each(['set_state', 'writes_file'])('%s is refused before anything of it runs', async (name) => {
    await expectError(create(script(name)), 'TORCHSCRIPT_REFUSED', script(name));
  });

  it('with an operator that is not on the list is loaded when it is trusted, and from a checkpoint when that is trusted too', async () => {
    const path = script('unlisted_operator');
    const words = [path, 'aten::digamma', 'trustTorchScript'];
    await expectError(create(path), 'TORCHSCRIPT_REFUSED', ...words);
    await expectError(create(path, { trustTorchScript: false }), 'TORCHSCRIPT_REFUSED', ...words);
    await using detector = await create(path, { trustTorchScript: true });
    expect((await detector.summary()).defaultBoxes).toBe(2 * 2 * 4);

    const dir = join(await temporaryFolder(), 'checkpoint');
    await detector.save(dir);
    await expectError(Detector.load(dir), 'TORCHSCRIPT_REFUSED', 'aten::digamma');
    await using loaded = await Detector.load(dir, { trustTorchScript: true });
    const image = { data: await noise(64, 64).raw().toBuffer(), width: 64, height: 64 };
    const all = { scoreThreshold: 0 };
    expect(await loaded.detect(image, all)).toEqual(await detector.detect(image, all));
  });

  it('that is trusted and broken gives an error that can be caught', async () => {
    const path = join(await temporaryFolder(), 'a.pt');
    await writeFile(path, 'text');
    await expectError(create(path, { trustTorchScript: true }), 'NATIVE_ERROR');
    await expect(create(path, { trustTorchScript: 1 as never })).rejects.toThrow(TypeError);
    await expect(Detector.load(path, { trustTorchScript: 'yes' as never })).rejects.toThrow(TypeError);
  });

  it('that is damaged, no archive, or not there is refused', async () => {
    const folder = await temporaryFolder();
    const bytes = await readFile(script('one_map'));
    const path = join(folder, 'a.pt');
    await writeFile(path, bytes.subarray(0, bytes.length - 100));
    await expectError(create(path), 'TORCHSCRIPT_REFUSED', path);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(path, bytes);
    await expectError(create(path), 'TORCHSCRIPT_REFUSED', path);
    await writeFile(path, 'text');
    await expectError(create(path), 'TORCHSCRIPT_REFUSED', path);
    await expectError(create(`${path}.not`), 'WEIGHTS_NOT_FOUND', `${path}.not`);
  });
});
