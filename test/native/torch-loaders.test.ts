import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Detector } from '../../lib/detector/detector.ts';
import { allowedNodes } from '../../lib/weights/torch/torchscript-operators.ts';
import { fixture } from '../support/shared.ts';
import { withCode } from '../support/torchscript-archive.ts';
import { expectError, noise, temporaryFolder } from '../support/voc.ts';
import { addon, options } from './detectors.ts';

/**
 * LibTorch's readers trust a file: a pickle of theirs makes objects by name, a TorchScript archive runs. So no file gets to them but a
 * TorchScript archive that was looked into, or that the user trusts by name.
 */

/** Called once an archive was vetted, before it is loaded. */
let onVetted = async () => {};
vi.mock('../../lib/weights/torch/torchscript.ts', async (original) => {
  const { vetTorchScript } = await original<typeof import('../../lib/weights/torch/torchscript.ts')>();
  const vetThenCall = async (...args: Parameters<typeof vetTorchScript>) => {
    await vetTorchScript(...args);
    await onVetted();
  };
  return { vetTorchScript: vetThenCall };
});

const create = (torchscript: string, more: { trustTorchScript?: boolean } = {}) =>
  Detector.create({
    preset: 'article',
    classes: ['__background__', 'a'],
    backbone: { torchscript },
    imageSize: { width: 64, height: 64 },
    ...more,
  });
const image = { data: await noise(64, 64).raw().toBuffer(), width: 64, height: 64 };

/** The processes that this one has started and not waited for, where the system tells. */
async function children(): Promise<string[]> {
  if (process.platform !== 'linux') return [];
  const threads = await readdir('/proc/self/task');
  const lists = threads.map((id) => readFile(`/proc/self/task/${id}/children`, 'utf8').catch(() => ''));
  return (await Promise.all(lists)).flatMap((list) => list.split(' ')).filter((id) => id !== '');
}

describe('an archive with an operator that is not on the list', () => {
  let folder: string;
  let before: string[];
  beforeEach(async () => {
    folder = await temporaryFolder();
    before = await children();
  });
  afterEach(async () => {
    expect(await readdir(folder, { recursive: true })).not.toContain('written');
    expect(await children()).toEqual(before);
  });

  const save = () => `_9 = torch.save(x, ${JSON.stringify(join(folder, 'written'))})`;
  const others = (line: string) =>
    `  def other(self: __torch__.WrongRank, x: Tensor) -> None:\n    ${line}\n    return None\n`;
  /** Whether it would run with a forward pass, at once when it is loaded, or never: it is refused in any case. */
  const archives: [string, () => Promise<Buffer>][] = [
    ['in forward', () => withCode(save())],
    ['in a method that nothing calls', () => withCode('pass', others(save()))],
  ];

  it.each(archives)('%s is refused by Detector.create', async (_, archive) => {
    const path = join(folder, 'a.pt');
    await writeFile(path, await archive());
    await expectError(create(path), 'TORCHSCRIPT_REFUSED', path, 'aten::save');
  });

  it('in a method that LibTorch runs when it loads is refused by Detector.create', async () => {
    const path = join(folder, 'a.pt');
    await writeFile(path, await withCode('pass', others(save()).replace('other', '__setstate__')));
    await expectError(create(path), 'TORCHSCRIPT_REFUSED', path, '__setstate__');
  });

  it('is refused by Detector.load, from a checkpoint that was made by who trusted it', async () => {
    await using detector = await create(fixture('torchscript/unlisted_operator.pt'), { trustTorchScript: true });
    const dir = join(folder, 'checkpoint');
    await detector.save(dir);
    await expectError(Detector.load(dir), 'TORCHSCRIPT_REFUSED', dir, 'aten::digamma');
  });

  it.each(archives)('%s is refused by the addon itself', async (_, archive) => {
    const torchscript = await archive();
    const creating = addon.createDetector({
      ...options,
      backbone: 'torchscript',
      torchscript,
      allowedNodes: [...allowedNodes],
    });
    await expectError(creating, 'TORCHSCRIPT_REFUSED', 'aten::save');
  });
});

describe('what the addon is given', () => {
  const spied = vi.spyOn(addon, 'createDetector');
  const given = () => spied.mock.lastCall![0];
  beforeEach(() => {
    spied.mockClear(); // what a hook returns would be called afterwards
  });
  afterEach(() => {
    onVetted = async () => {};
  });

  it('is an archive with the list of what it may have, unless the user trusts it', async () => {
    const dir = join(await temporaryFolder(), 'checkpoint');
    for (const trustTorchScript of [false, true]) {
      const list = trustTorchScript ? undefined : [...allowedNodes];
      await using created = await create(fixture('torchscript/one_map.pt'), { trustTorchScript });
      expect(given()).toMatchObject({ backbone: 'torchscript' });
      expect(given().allowedNodes).toEqual(list);
      await created.save(dir);
      await using loaded = await Detector.load(dir, { trustTorchScript });
      expect(given().allowedNodes).toEqual(list);
      expect(await loaded.detect(image)).toEqual(await created.detect(image));
    }
    expect(spied).toHaveBeenCalledTimes(4);
  });

  it('are the bytes that were looked into, whatever becomes of the file', async () => {
    const path = join(await temporaryFolder(), 'a.pt');
    const sound = await readFile(fixture('torchscript/one_map.pt'));
    await writeFile(path, sound);
    onVetted = () => writeFile(path, 'other bytes');
    await using detector = await create(path);
    expect(Buffer.compare(given().torchscript!, sound)).toBe(0);
    expect((await detector.summary()).defaultBoxes).toBe(2 * 2 * 4);
  });
});

describe('the readers of LibTorch', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const files = ['native', 'lib']
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
    )
    .filter((path) => /\.(cc|h|ts)$/.test(path));
  const sources = new Map(files.map((path) => [path.replaceAll('\\', '/'), readFileSync(join(root, path), 'utf8')]));
  /** The files in which something is found. */
  const filesWith = (pattern: RegExp) => [...sources].filter(([, text]) => pattern.test(text)).map(([path]) => path);

  it('are looked for where they would be', () => {
    expect(filesWith(/#include/).length).toBeGreaterThan(20);
    expect(filesWith(/^import /m).length).toBeGreaterThan(40);
  });

  it.each([
    ['torch::load', /torch::load\b/],
    ['torch::pickle_load', /pickle_load\s*\(|torch::pickle_load\b/],
    ['the unpickler itself', /\bunpickle\s*\(|\bUnpickler\b|readArchiveAndTensors/],
    [
      'other ways to a TorchScript archive',
      /import_ir_module|_load_for_mobile|load_mobile_module|CompilationUnit::define|jit::compile\b/,
    ],
    ['a namespace of them that is opened', /using (namespace torch|torch::(jit::)?load)/],
  ])('have no caller: %s', (_, pattern) => {
    expect(filesWith(pattern)).toEqual([]);
  });

  it('have one caller for TorchScript: the gate, which looks into the program before it hands it out', () => {
    expect(filesWith(/jit::load\s*\(/)).toEqual(['native/models/torchscript_gate.cc']);
    expect(sources.get('native/models/torchscript_gate.cc')!.match(/jit::load\s*\(/g)).toHaveLength(1);
    expect(filesWith(/\.createDetector\(/)).toEqual(['lib/detector/create-handle.ts']);
  });
});
