import { mkdir, realpath, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadDatasetConfig, withDefaultBoxes } from '../../../lib/data/dataset-config.ts';
import { expectError, temporaryFolder, writeFiles } from '../../support/voc.ts';

const CLASSES = "CLASSES: ['__background__', 'dog', '007']";
const FOLDERS = 'TRAIN_IMG: ti\nTRAIN_ANNOT: ta\nVALID_IMG: vi\nVALID_ANNOT: va';

async function configFile(text: string | Uint8Array): Promise<string> {
  const folder = await realpath(await temporaryFolder());
  await writeFiles(folder, { 'data.yaml': text });
  return join(folder, 'data.yaml');
}

const shipped = (name: string) => fileURLToPath(new URL(`../../../configs/${name}`, import.meta.url));

describe('the shipped configs', () => {
  it("takes the article's file as it is", async () => {
    const config = await loadDatasetConfig(shipped('voc.yaml'));
    const folder = (part: string) => resolve('input/voc_07_12/voc_xml_dataset', part);
    expect(config).toEqual({
      path: shipped('voc.yaml'),
      classes: [
        ...['aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow'],
        ...['diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor'],
      ],
      train: { images: folder('train/images'), annotations: folder('train/labels') },
      valid: { images: folder('valid/images'), annotations: folder('valid/labels') },
      visualizeTransformedImages: false,
    });
    expect(config.classes).toHaveLength(20);
  });

  it('has the splits of BCCD', async () => {
    const config = await loadDatasetConfig(shipped('bccd.yaml'));
    expect(config.classes).toEqual(['RBC', 'WBC', 'Platelets']);
    const root = resolve('../shared/data/bccd');
    expect(config.train).toEqual({ root, split: 'train' });
    expect(config.valid).toEqual({ root, split: 'val' });
    expect(config.test).toEqual({ root, split: 'test' });
  });
});

describe('loadDatasetConfig', () => {
  it('has defaults for the splits of a VOC root', async () => {
    const config = await loadDatasetConfig(await configFile(`VOC_ROOT: /data/VOC2012\n${CLASSES}`));
    expect(config.train).toEqual({ root: resolve('/data/VOC2012'), split: 'train' });
    expect(config.valid).toEqual({ root: resolve('/data/VOC2012'), split: 'val' });
    expect(config).not.toHaveProperty('test');
  });

  it('takes a relative path from the current directory, else from the folder of the file', async () => {
    const path = await configFile(`${FOLDERS.replace('ti', 'lib').replace('ta', 'labels')}\n${CLASSES}`);
    await mkdir(join(path, '..', 'lib'));
    await mkdir(join(path, '..', 'labels'));
    const { train, valid } = await loadDatasetConfig(path);
    expect(train).toEqual({ images: resolve('lib'), annotations: join(path, '..', 'labels') });
    expect(valid).toEqual({ images: resolve('vi'), annotations: resolve('va') });
  });

  it('takes anchors, comments and a byte order mark', async () => {
    const text = `\ufeff# mine\nVOC_ROOT: &here '/data'\nTRAIN_SPLIT: *here\nVISUALIZE_TRANSFORMED_IMAGES: true\n${CLASSES} # two\n`;
    const config = await loadDatasetConfig(await configFile(text));
    expect(config.train).toEqual({ root: resolve('/data'), split: '/data' });
    expect(config.visualizeTransformedImages).toBe(true);
    expect(config.classes).toEqual(['dog', '007']);
  });

  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghi'].map((key, i) => `${key}: &${key} [${Array(9).fill(`*${'abcdefgh'[i]}`)}]`).join('\n')}\n`;
  it.each<[string, string, string]>([
    [
      'an unknown key',
      `${FOLDERS}\n${CLASSES}\nTRAIN_IMGS: x`,
      'Unknown key "TRAIN_IMGS" in the file; did you mean "TRAIN_IMG"?',
    ],
    ['a key in lower case', `${FOLDERS}\nclasses: []`, 'did you mean "CLASSES"?'],
    ['__proto__', `${FOLDERS}\n${CLASSES}\n__proto__: {CLASSES: [a]}`, 'Unknown key "__proto__"'],
    ['a key twice', `${FOLDERS}\n${CLASSES}\nTRAIN_IMG: x`, 'Map keys must be unique'],
    ['an alias bomb', `${bomb}\n${CLASSES}`, 'Excessive alias count'],
    ['deep nesting', `CLASSES: ${'['.repeat(20_000)}`, 'call stack'],
    ['a tag of another language', `CLASSES: !!python/object:os.system [a]`, 'Unresolved tag'],
    ['an unknown alias', 'CLASSES: *nowhere', 'nowhere'],
    ['two documents', `${CLASSES}\n---\n${CLASSES}`, 'multiple documents'],
    ['a file cut short', 'CLASSES: ["__background__", "do', 'Missing closing "quote'],
    ['nothing', '', 'Expected object for the file but received null'],
    ['a list', '- a', 'Expected object for the file but received array'],
    ['a text', 'hello', 'Expected object for the file but received "hello"'],
    ['no classes', FOLDERS, "array of class names such as ['cat', 'dog'] for CLASSES"],
    ['a late background', `${FOLDERS}\nCLASSES: [dog, __background__]`, "CLASSES[1] is '__background__'"],
    [
      'an unquoted number as class',
      `${FOLDERS}\nCLASSES: [__background__, 007]`,
      "CLASSES[1] but received 7 of type number. Put the name in quotes, as in '007'",
    ],
    [
      'an unquoted truth value as class',
      `${FOLDERS}\nCLASSES: [__background__, true]`,
      'CLASSES[1] but received true of type boolean',
    ],
    ['a class twice', `${FOLDERS}\nCLASSES: [__background__, a, a]`, "CLASSES[2] repeats 'a'"],
    [
      'a folder too few',
      `${FOLDERS.replace('VALID_IMG', '#')}\n${CLASSES}`,
      'non-empty string for VALID_IMG but received undefined',
    ],
    ['an empty path', `${FOLDERS.replace('ti', "''")}\n${CLASSES}`, 'non-empty string for TRAIN_IMG but received ""'],
    ['both layouts', `${FOLDERS}\nVOC_ROOT: x\n${CLASSES}`, 'found keys of both'],
    [
      'neither layout',
      CLASSES,
      'Expected either TRAIN_IMG, TRAIN_ANNOT, VALID_IMG, VALID_ANNOT, or VOC_ROOT; found neither',
    ],
    ['splits without a root', `TRAIN_SPLIT: x\n${CLASSES}`, 'non-empty string for VOC_ROOT'],
    [
      'a split that is a number',
      `VOC_ROOT: x\nTEST_SPLIT: 2012\n${CLASSES}`,
      'string for TEST_SPLIT but received 2012',
    ],
    ['an empty test split', `VOC_ROOT: x\nTEST_SPLIT:\n${CLASSES}`, 'string for TEST_SPLIT'],
    [
      'a flag that is none',
      `${FOLDERS}\n${CLASSES}\nVISUALIZE_TRANSFORMED_IMAGES: maybe`,
      'boolean for VISUALIZE_TRANSFORMED_IMAGES',
    ],
    [
      'default boxes with a scale too few',
      `${FOLDERS}\n${CLASSES}\nDEFAULT_BOXES: {aspectRatios: [[2]], scales: [0.1], steps: [], clip: true}`,
      'DEFAULT_BOXES.scales.length',
    ],
    [
      'default boxes that are none',
      `${FOLDERS}\n${CLASSES}\nDEFAULT_BOXES:`,
      'object for DEFAULT_BOXES but received null',
    ],
    ['more than 64 KiB', `${FOLDERS}\n${CLASSES}\n#${' '.repeat(65536)}`, 'more than the 65536 allowed'],
  ])('refuses %s', async (_, text, message) => {
    const path = await configFile(text);
    await expectError(loadDatasetConfig(path), 'CONFIG_INVALID', path, message);
  });

  it('refuses what is not UTF-8, not a file or not there', async () => {
    await expectError(
      loadDatasetConfig(await configFile(Uint8Array.of(0xff, 0xfe, 0))),
      'CONFIG_INVALID',
      'encoded data',
    );
    await expectError(loadDatasetConfig(await temporaryFolder()), 'CONFIG_INVALID', 'it is a directory');
    await expectError(loadDatasetConfig('none.yaml'), 'CONFIG_INVALID', '"none.yaml"', 'it does not exist');
    await expect(loadDatasetConfig('')).rejects.toThrow(TypeError);
  });

  it('keeps the cause', async () => {
    await expect(loadDatasetConfig('none.yaml')).rejects.toHaveProperty('cause.message', 'it does not exist');
  });
});

describe('withDefaultBoxes', () => {
  const defaultBoxes = { aspectRatios: [[1.5], []], scales: [0.1, 0.25, 0.6], steps: [], clip: true };

  it('adds default boxes, and replaces those that are there', async () => {
    const config = await loadDatasetConfig(await configFile(`# mine\n${FOLDERS}\n${CLASSES} # two\n`));
    const first = await configFile(
      await withDefaultBoxes(config, config.path, { ...defaultBoxes, clip: false }, 'one'),
    );
    const loaded = await loadDatasetConfig(first);
    expect(loaded.defaultBoxes).toEqual({ ...defaultBoxes, clip: false });
    const text = await withDefaultBoxes(loaded, first, defaultBoxes, 'two');
    const second = await loadDatasetConfig(await configFile(text));
    expect(second).toMatchObject({ defaultBoxes, classes: config.classes });
    expect(text).toContain('# mine\n');
    expect(text).toContain('# two');
    expect(text).not.toContain('# one');
  });

  it('keeps the places of the data in a file of another folder', async () => {
    const config = await loadDatasetConfig(await configFile(`VOC_ROOT: voc\n${CLASSES}`));
    await mkdir(join(dirname(config.path), 'voc'));
    const there = await loadDatasetConfig(config.path);
    const other = await configFile('');
    const copy = await loadDatasetConfig(await configFile(await withDefaultBoxes(there, other, defaultBoxes, '')));
    expect(copy.train).toEqual(there.train);
    expect(copy.train).toEqual({ root: join(dirname(config.path), 'voc'), split: 'train' });
  });

  it('names a file that is gone', async () => {
    const config = await loadDatasetConfig(await configFile(`${FOLDERS}\n${CLASSES}`));
    await rm(config.path);
    await expectError(withDefaultBoxes(config, 'a.yaml', defaultBoxes, ''), 'CONFIG_INVALID', config.path);
  });
});
