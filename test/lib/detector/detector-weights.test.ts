import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { random } from '../../../lib/base/random.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { layoutSafetensors, readSafetensorsHeader } from '../../../lib/weights/safetensors.ts';
import { backboneKeys, depths, extraKeys, headKeys, type Naming } from '../../support/convnext-keys.ts';
import { dict, int, type NamedTensor, saveStateDict } from '../../support/torch-save.ts';
import { expectError, noise, temporaryFolder } from '../../support/voc.ts';

const small = {
  preset: 'article',
  classes: ['__background__', 'a', 'b'],
  backbone: 'convnext_test',
  imageSize: { width: 64, height: 64 },
  seed: 3,
} satisfies DetectorOptions;
const other = { ...small, seed: 4 };
const all = { scoreThreshold: 0, maxDetections: 1000 };
const ours = backboneKeys('dinov3-det', depths.convnext_test);

/** The tensors of a new detector, by our names. */
async function stateOf(options: DetectorOptions): Promise<Map<string, NamedTensor>> {
  const dir = join(await temporaryFolder(), 'model');
  await using detector = await Detector.create(options);
  await detector.save(dir);
  const file = await readFile(join(dir, 'model.safetensors'));
  const { tensors } = await readSafetensorsHeader(join(dir, 'model.safetensors'));
  return new Map(
    tensors.map(({ name, shape, offset, byteLength }) => [
      name,
      { name, shape, bytes: file.subarray(offset, offset + byteLength) },
    ]),
  );
}

/** The tensors as such a program would name them, with what else it writes. */
function named(state: ReadonlyMap<string, NamedTensor>, naming: Naming): NamedTensor[] {
  const renamed = backboneKeys(naming, depths.convnext_test).map((name, index) => ({
    ...state.get(ours[index]!)!,
    name,
  }));
  const extra = extraKeys[naming].map((name) => ({ ...state.get(`backbone.norm.${name.split('.').at(-1)}`)!, name }));
  const head = naming === 'article' ? headKeys.map((name) => state.get(name)!) : [];
  return [...renamed, ...extra, ...head];
}

function safetensors(tensors: readonly NamedTensor[]): Buffer {
  const {
    header,
    tensors: spans,
    totalBytes,
  } = layoutSafetensors(tensors.map(({ name, shape }) => ({ name, dtype: 'F32', shape })));
  const file = Buffer.alloc(totalBytes);
  header.copy(file);
  for (const { name, offset } of spans) tensors.find((tensor) => tensor.name === name)!.bytes.copy(file, offset);
  return file;
}

async function saved(bytes: Buffer, name = 'weights.bin'): Promise<string> {
  const path = join(await temporaryFolder(), name);
  await writeFile(path, bytes);
  return path;
}

/** Drawn once: the noise is another one each time. */
const image = { data: await noise(64, 64).raw().toBuffer(), width: 64, height: 64 };
/** The file of a state with the head that `other` begins with. */
async function expected(state: ReadonlyMap<string, NamedTensor>): Promise<Buffer> {
  const head = await stateOf(other);
  const mixed = [...state].map(([name, tensor]) => (name.startsWith('head.') ? head.get(name)! : tensor));
  return safetensors(mixed);
}

describe('weights', () => {
  it.each<[Naming, string, (tensors: readonly NamedTensor[]) => Buffer]>([
    ['dinov3', 'facebookresearch/dinov3', (tensors) => saveStateDict(tensors)],
    ['convnext', 'facebookresearch/ConvNeXt', (tensors) => saveStateDict(tensors, (model) => dict({ model }))],
    ['huggingface', 'Hugging Face DINOv3ConvNext', safetensors],
    ['huggingface-model', 'Hugging Face DINOv3ConvNext', safetensors],
    ['timm', 'timm', safetensors],
    ['timm', 'timm', (tensors) => saveStateDict(tensors)],
  ])('of %s fill the backbone and leave the head', async (naming, source, write) => {
    const state = await stateOf(small);
    const weights = await saved(write(named(state, naming)));
    await using detector = await Detector.create({ ...other, weights });
    expect(detector.weightReport).toEqual({
      source,
      loaded: ours.length,
      head: false,
      missing: [],
      unexpected: naming === 'convnext' ? ['head.weight', 'head.bias'] : [],
      wrongShape: [],
    });
    const dir = join(await temporaryFolder(), 'model');
    await detector.save(dir);
    const file = join(dir, 'model.safetensors');
    expect((await readFile(file)).equals(await expected(state))).toBe(true);
  });

  it.each<[string, (tensors: readonly NamedTensor[]) => Buffer]>([
    ['.pth', (tensors) => saveStateDict(tensors)],
    ['safetensors', safetensors],
  ])('of a %s file arrive with every bit: NaN of all kinds, infinities, subnormals, -0', async (_, write) => {
    const state = await stateOf(small);
    let count = 0;
    const draw = () => Math.floor(random(7, count++, 0, 0) * 2 ** 32);
    for (const { bytes } of state.values())
      for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(draw(), at);
    await using detector = await Detector.create({ ...other, weights: await saved(write(named(state, 'dinov3'))) });
    const dir = join(await temporaryFolder(), 'model');
    await detector.save(dir);
    expect((await readFile(join(dir, 'model.safetensors'))).equals(await expected(state))).toBe(true);
  });

  it("of the article's best_model.pth fill backbone and head, and detect at once", async () => {
    const state = await stateOf(small);
    const wrap = (stateDict: string) => dict({ epoch: int(17), model_state_dict: stateDict });
    const weights = await saved(saveStateDict(named(state, 'article'), wrap), 'best_model.pth');
    await using article = await Detector.create({ ...other, weights });
    expect(article.weightReport).toEqual({
      source: "the article's torchvision SSD",
      loaded: state.size,
      head: true,
      missing: [],
      unexpected: [],
      wrongShape: [],
    });
    await using original = await Detector.create(small);
    const found = await article.detect(image, all);
    expect(found.length).toBeGreaterThan(0);
    expect(found).toEqual(await original.detect(image, all));
  });

  it('of a model of other classes fill the backbone only, and are reported', async () => {
    const state = await stateOf({ ...small, classes: ['__background__', 'a', 'b', 'c'] });
    const weights = await saved(saveStateDict(named(state, 'article')));
    await using detector = await Detector.create({ ...other, weights });
    const { loaded, head, missing, wrongShape } = detector.weightReport!;
    expect([loaded, head, missing]).toEqual([ours.length, false, []]);
    expect(wrongShape).toHaveLength(12);
    expect(wrongShape[0]).toEqual({
      name: 'head.classification_head.module_list.0.weight',
      found: [16, 192, 3, 3],
      expected: [12, 192, 3, 3],
    });
  });

  it('of half a head fill the backbone only, and are reported', async () => {
    const state = await stateOf(small);
    const tensors = named(state, 'article').filter(({ name }) => !name.includes('regression'));
    await using detector = await Detector.create({ ...other, weights: await saved(saveStateDict(tensors)) });
    expect(detector.weightReport).toMatchObject({ loaded: ours.length, wrongShape: [] });
    expect(detector.weightReport!.missing).toEqual(headKeys.filter((name) => name.includes('regression')));
  });

  it('of a release fill the backbone of a pyramid, but for the norms that no release has', async () => {
    const state = await stateOf(small);
    const weights = await saved(saveStateDict(named(state, 'dinov3')));
    await using detector = await Detector.create({ ...other, preset: 'best', weights });
    const missing = ['1', '2'].flatMap((stage) => ['weight', 'bias'].map((leaf) => `backbone.norms.${stage}.${leaf}`));
    expect(detector.weightReport).toMatchObject({ loaded: ours.length, head: false, missing, unexpected: [] });
  });

  it.each([
    ['all of it', {}, { head: true, missing: 0, unexpected: 0, wrongShape: 0 }],
    [
      'all but the head of other classes',
      { classes: ['__background__', 'a'] },
      { head: false, missing: 0, unexpected: 0, wrongShape: 8 },
    ],
    [
      'the backbone, where the model has none',
      { preset: 'article' },
      { head: false, missing: 8, unexpected: 4 + 8, wrongShape: 12 },
    ],
    [
      'the backbone, where the model has another',
      { fusion: 'fpn' },
      { head: false, missing: 12, unexpected: 0, wrongShape: 4 },
    ],
  ] as const)('of a detector with a pyramid fill %s', async (_, change, expected) => {
    const best = { ...small, imageSize: { width: 128, height: 128 }, preset: 'best' } as const;
    const state = await stateOf(best);
    const weights = await saved(safetensors([...state.values()]));
    await using detector = await Detector.create({ ...best, seed: 4, ...change, weights });
    const { head, missing, unexpected, wrongShape } = detector.weightReport!;
    expect({ head, missing: missing.length, unexpected: unexpected.length, wrongShape: wrongShape.length }).toEqual(
      expected,
    );
    if (!head) return;
    await using original = await Detector.create(best);
    expect(await detector.detect(image, all)).toEqual(await original.detect(image, all));
  });

  it('of another size are refused, and the right one is named', async () => {
    const shapes = (backbone: string) => [
      { name: 'downsample_layers.0.0.weight', shape: [96, 3, 4, 4], bytes: Buffer.alloc(96 * 48 * 4) },
      ...backboneKeys('dinov3', depths[backbone as 'convnext_small'])
        .slice(1)
        .map((name) => ({ name, shape: [1], bytes: Buffer.alloc(4) })),
    ];
    const weights = await saved(saveStateDict(shapes('convnext_small')));
    const create = Detector.create({ ...small, backbone: 'convnext_tiny', weights });
    await expectError(create, 'WEIGHTS_MISMATCH', weights, 'this file is convnext_small', '--backbone convnext_small');
    const tiny = await saved(saveStateDict(shapes('convnext_tiny')));
    const large = Detector.create({ ...small, backbone: 'convnext_large', weights: tiny });
    await expectError(
      large,
      'WEIGHTS_MISMATCH',
      'this file is convnext_tiny',
      "the model's backbone is convnext_large",
    );
  });

  it.each<[string, (tensors: NamedTensor[]) => NamedTensor[], string[]]>([
    ['a tensor is missing', (tensors) => tensors.slice(0, -3), ['it lacks "backbone.norm.bias"']],
    [
      'a tensor has another shape',
      ([first, ...rest]) => [{ ...first!, shape: [24, 48] }, ...rest],
      ['24 x 48', '24 x 3 x 4 x 4'],
    ],
    [
      'there is a block too many',
      (tensors) => [...tensors, { name: 'stages.3.1.gamma', shape: [1], bytes: Buffer.alloc(4) }],
      ['"backbone.stages.3.1.gamma", which the model lacks'],
    ],
    [
      'they are of a transformer',
      () => [{ name: 'blocks.0.attn.qkv.weight', shape: [1], bytes: Buffer.alloc(4) }],
      ['a vision transformer', 'TorchScript'],
    ],
    [
      'they are of something else',
      () => [{ name: 'conv1.weight', shape: [1], bytes: Buffer.alloc(4) }],
      ['"conv1.weight"', 'no names of a DINOv3 ConvNeXt'],
    ],
  ])('are refused when %s', async (_, change, words) => {
    const tensors = change(named(await stateOf(small), 'dinov3'));
    const weights = await saved(saveStateDict(tensors));
    await expectError(Detector.create({ ...small, weights }), 'WEIGHTS_MISMATCH', weights, ...words);
  });

  it('are refused when two tensors have one meaning', async () => {
    const [first, ...rest] = named(await stateOf(small), 'huggingface');
    const weights = await saved(safetensors([first!, { ...first!, name: `model.${first!.name}` }, ...rest]));
    await expectError(
      Detector.create({ ...small, weights }),
      'WEIGHTS_INVALID',
      'has two tensors that are',
      first!.name,
    );
  });

  it('are refused when their numbers are integers', async () => {
    const tensors = named(await stateOf(small), 'dinov3');
    const weights = await saved(saveStateDict(tensors, undefined, 'IntStorage'));
    await expectError(Detector.create({ ...small, weights }), 'WEIGHTS_MISMATCH', 'is of type I32');
  });
});
