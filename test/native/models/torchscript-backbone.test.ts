import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import type { DetectorHandle } from '../../../lib/binding.ts';
import { allowedNodes } from '../../../lib/weights/torch/torchscript-operators.ts';
import { fixture } from '../../support/shared.ts';
import { withCode } from '../../support/torchscript-archive.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';
import { addon, allDetections, batchOf, changed, options, readBytes, readFloats, writeFloats } from '../detectors.ts';

const archive = (name: string) => readFile(fixture(`native/torchscript/${name}.pt`));

async function create(name: string, more: Partial<typeof options> = {}): Promise<DetectorHandle> {
  return addon.createDetector({ ...options, backbone: 'torchscript', torchscript: await archive(name), ...more });
}

const names = async (detector: DetectorHandle) =>
  (await addon.describeState(detector, 'model')).map(({ name }) => name).filter((name) => name.startsWith('backbone.'));

async function train(detector: DetectorHandle, fineTune: boolean, steps = 1) {
  await addon.startTraining(detector, { optimizer: 'sgd', fineTune });
  for (let step = 0; step < steps; step++) await addon.trainStep(detector, await batchOf(), 1e-3);
}

describe('TorchScript backbone', () => {
  it.each([
    ['one_map', [{ channels: 8, height: 2, width: 2 }], 4 * 4],
    ['tuple_of_maps', [{ channels: 4, height: 4, width: 4 }, { channels: 6, height: 2, width: 2 }], 16 * 4 + 4 * 6], // biome-ignore format: a table
    ['list_of_maps', [{ channels: 4, height: 4, width: 4 }, { channels: 6, height: 2, width: 2 }], 16 * 4 + 4 * 6], // biome-ignore format: a table
  ])('finds out its maps by a forward pass: %s', async (name, maps, boxes) => {
    const detector = await create(name);
    expect(addon.featureMaps(detector)).toEqual(maps);
    expect(await addon.defaultBoxes(detector)).toHaveLength(4 * boxes);
    const infos = await addon.describeState(detector, 'model');
    const channels = [0, 1, 5].map(
      (k) => infos.find((info) => info.name === `head.regression_head.module_list.${k}.weight`)!.shape[1],
    );
    expect(channels).toEqual([maps[0]!.channels, maps.at(-1)!.channels, maps.at(-1)!.channels]);
    const { counts } = await addon.detect(detector, await batchOf(), allDetections);
    expect([...counts].every((count) => count > 0)).toBe(true);
  });

  it('gives the same maps as a tuple and as a list', async () => {
    const [tuple, list] = [await create('tuple_of_maps'), await create('list_of_maps')];
    const batch = await batchOf();
    expect(await addon.detect(tuple, batch, allDetections)).toEqual(await addon.detect(list, batch, allDetections));
  });

  it.each([
    ['wrong_rank', 'a tensor of 2 dimensions'],
    ['wrong_type', 'a GenericDict'],
    ['not_floating', 'a tensor that is not floating point'],
    ['no_map', 'no map at all'],
  ])('refuses what is no map: %s', async (name, found) => {
    await expectError(create(name), 'WEIGHTS_MISMATCH', found, 'forward([N, 3, H, W])');
  });

  it('refuses more maps than the head has entries', async () => {
    const defaultBoxes = { aspectRatios: [[2]], scales: [0.2, 0.9], steps: [], clip: true };
    await expectError(create('tuple_of_maps', { defaultBoxes }), 'WEIGHTS_MISMATCH', '2 feature maps', '1 entries');
  });

  it("passes on a module's own failure, and that of an archive that is none", async () => {
    await expectError(create('raises'), 'NATIVE_ERROR', 'this backbone always fails');
    const bytes = await archive('one_map');
    for (const torchscript of [new Uint8Array(0), bytes.subarray(0, bytes.length / 2), Buffer.from('not a zip file')]) {
      await expectError(addon.createDetector({ ...options, backbone: 'torchscript', torchscript }), 'NATIVE_ERROR');
    }
  });

  it('names its parameters as its state_dict, and buffers behind them', async () => {
    expect(await names(await create('batch_norm'))).toEqual([
      'backbone.conv.weight',
      'backbone.conv.bias',
      'backbone.bn.weight',
      'backbone.bn.bias',
      'backbone.bn.running_mean',
      'backbone.bn.running_var',
      'backbone.bn.num_batches_tracked',
    ]);
  });

  it('takes weights, and detects with them', async () => {
    const detector = await create('one_map');
    const batch = await batchOf();
    const before = await addon.detect(detector, batch, allDetections);
    const values = (await readFloats(detector, 'model')).get('backbone.conv.weight')!;
    await writeFloats(
      detector,
      'model',
      new Map([['backbone.conv.weight', { data: values.map((value) => 2 * value), shape: [8, 3, 1, 1] }]]),
    );
    expect((await addon.detect(detector, batch, allDetections)).scores).not.toEqual(before.scores);
  });

  it('lists and steps a module once that is registered twice', async () => {
    const detector = await create('shared');
    const norms = (await names(detector)).filter((name) => name.includes('norm'));
    expect(norms).toHaveLength(2); // weight and bias, under one of the two names
    const before = await readFloats(detector, 'model');
    await addon.startTraining(detector, { optimizer: 'adamw', fineTune: true });
    await addon.trainStep(detector, await batchOf(), 1e-3);
    const after = await readFloats(detector, 'model');
    // The first AdamW step moves a weight by the learning rate and decays it by a hundredth of that.
    for (const name of norms) {
      const moves = before.get(name)!.map((value, i) => Math.abs(after.get(name)![i]! - value * (1 - 1e-5)));
      for (const move of moves) expect(move).toBeCloseTo(1e-3, 5);
    }
  });

  it('stays as it is when frozen, running statistics too', async () => {
    const detector = await create('batch_norm');
    const before = await readBytes(detector, 'model');
    await train(detector, false, 3);
    const moved = changed(before, await readBytes(detector, 'model'));
    expect(moved.filter((name) => name.startsWith('backbone.'))).toEqual([]);
    expect(moved).toContain('head.regression_head.module_list.0.weight');
  });

  it('is trained when fine-tuned, running statistics too, and these are used to detect', async () => {
    const detector = await create('batch_norm');
    const before = await readBytes(detector, 'model');
    await train(detector, true, 3);
    const after = await readBytes(detector, 'model');
    // A bias before a batch norm has no influence: rounding alone moves it.
    const trained = (await names(detector)).filter((name) => name !== 'backbone.conv.bias');
    expect(changed(before, after)).toEqual(expect.arrayContaining(trained));
    expect(after.get('backbone.bn.num_batches_tracked')!.readBigInt64LE()).toBe(3n);
    const alone = await addon.detect(detector, await batchOf(), allDetections);
    expect(await addon.detect(detector, await batchOf(), allDetections)).toEqual(alone);
    expect(changed(after, await readBytes(detector, 'model'))).toEqual([]);
  });

  it('keeps its running statistics when a step fails', async () => {
    const detector = await create('batch_norm');
    await train(detector, true, 1);
    const bias = 'head.classification_head.module_list.0.bias';
    await writeFloats(
      detector,
      'model',
      new Map([[bias, { data: new Float32Array(16).fill(Number.NaN), shape: [16] }]]),
    );
    const before = await readBytes(detector, 'model');
    await expectError(addon.trainStep(detector, await batchOf(), 1e-3), 'LOSS_NOT_FINITE');
    expect(changed(before, await readBytes(detector, 'model'))).toEqual([]);
  });

  it('gives the same detections however often it has been trained and used in between', async () => {
    const detector = await create('batch_norm');
    const batch = await batchOf();
    await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true });
    const first = await addon.detect(detector, batch, allDetections);
    for (let round = 0; round < 4; round++) {
      await addon.trainStep(detector, batch, 0);
      const state = await readFloats(detector, 'model');
      await writeFloats(
        detector,
        'model',
        new Map([
          ['backbone.bn.running_mean', { data: new Float32Array(4), shape: [4] }],
          ['backbone.bn.running_var', { data: new Float32Array(4).fill(1), shape: [4] }],
        ]),
      );
      expect(state.get('backbone.bn.running_mean')!.some((value) => value !== 0)).toBe(true);
      expect((await addon.detect(detector, batch, allDetections)).counts).toEqual(first.counts);
    }
  });
});

describe('the graphs of a TorchScript backbone', () => {
  const load = (torchscript: Uint8Array, allowed: Iterable<string> = allowedNodes) =>
    addon.createDetector({ ...options, backbone: 'torchscript', torchscript, allowedNodes: [...allowed] });
  it('may have every form of the language', async () => {
    const archive = await readFile(fixture('torchscript/every_form.pt'));
    expect(addon.featureMaps(await load(archive))).toEqual([{ channels: 3, height: 2, width: 2 }]);
    for (const kind of [
      'prim::If',
      'prim::Loop',
      'prim::CallFunction',
      'prim::SetAttr',
      'aten::hash',
      'aten::avg_pool2d',
    ]) {
      const others = [...allowedNodes].filter((allowed) => allowed !== kind);
      await expectError(load(archive, others), 'TORCHSCRIPT_REFUSED', ` uses ${kind}, which is not on the list`);
    }
  });

  it('are not looked into when no kinds are given: the user trusts the archive', async () => {
    await expectError(load(await archive('one_map'), []), 'TORCHSCRIPT_REFUSED', 'uses prim::');
    const detector = await create('one_map');
    expect(addon.featureMaps(detector)).toHaveLength(1);
  });

  const save = (path: string) => `_9 = torch.save(x, ${JSON.stringify(path)})`;
  it.each<[string, (path: string) => Promise<Buffer>, string]>([
    ['forward', (path) => withCode(save(path)), '__torch__.WrongRank.forward'],
    [
      'a block in a block',
      (path) => withCode(`if torch.gt(torch.dim(x), 9):\n  for i in range(2):\n    ${save(path)}\nelse:\n  pass`),
      '__torch__.WrongRank.forward',
    ],
    [
      'a method that is not called',
      (path) =>
        withCode(
          'pass',
          `  def other(self: __torch__.WrongRank, x: Tensor) -> None:\n    ${save(path)}\n    return None\n`,
        ),
      '__torch__.WrongRank.other',
    ],
    [
      'a function beside the class',
      (path) =>
        withCode('_8 = __torch__.beside(x, )', `def beside(x: Tensor) -> None:\n  ${save(path)}\n  return None\n`),
      '__torch__.beside',
    ],
  ])('are refused before anything runs when an operator is not allowed in %s', async (_, make, where) => {
    const path = join(await temporaryFolder(), 'written-by-a-model');
    const bytes = await make(path);
    await expectError(load(bytes), 'TORCHSCRIPT_REFUSED', 'aten::save', where);
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('would be run, were they not refused', async () => {
    const path = join(await temporaryFolder(), 'written-by-a-model');
    await expectError(load(await withCode(save(path)), [...allowedNodes, 'aten::save']), 'WEIGHTS_MISMATCH');
    expect((await readFile(path)).length).toBeGreaterThan(0);
  });

  it('are refused when they call a native class', async () => {
    const code =
      '_8 = __torch__.torch.classes._nnapi.Compilation.__new__(__torch__.torch.classes._nnapi.Compilation)\n_7 = (_8).__init__()';
    const bytes = await withCode(code);
    await expectError(load(bytes, [...allowedNodes, 'prim::CreateObject']), 'TORCHSCRIPT_REFUSED', 'native class');
  });
});
