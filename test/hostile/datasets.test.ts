import { execFileSync } from 'node:child_process';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DetectorError } from '../../lib/base/errors.ts';
import { random } from '../../lib/base/random.ts';
import { openDataset } from '../../lib/data/open-dataset.ts';
import type { OpenedDataset } from '../../lib/data/open-dataset-options.ts';
import { type Files, written } from '../support/formats.ts';
import { temporaryFolder, writeFiles } from '../support/voc.ts';

/** The file of each format that is changed: the annotation of one image, or of all. */
const annotation: Record<string, string> = {
  ...{ voc: 'annotations/a.xml', coco: 'annotations/instances.json', yolo: 'labels/train/a.txt', labelme: 'a.json' },
  ...{ cvat: 'annotations.xml', 'label-studio': 'project-1.json', imagefolder: 'train/metadata.jsonl' },
};
const formats = Object.keys(written);
const MAX_SECONDS = 20;

/** Opens a data set of a format: it is read, or refused with a typed error. Nothing else may come of any file. */
async function open(format: string, folder: string): Promise<OpenedDataset | DetectorError> {
  const began = performance.now();
  try {
    const dataset = await openDataset(folder, { format, cache: false });
    checkSound(dataset);
    return dataset;
  } catch (error) {
    if (!(error instanceof DetectorError)) throw error;
    expect(error.message.length).toBeLessThan(6000);
    return error;
  } finally {
    expect((performance.now() - began) / 1000).toBeLessThan(MAX_SECONDS);
  }
}

function checkSound({ samples, counts, issues }: OpenedDataset): void {
  const { seen, used, background, skipped, ignored } = counts;
  expect(seen).toBe(used + background + skipped + ignored);
  expect(samples.length).toBe(used + background);
  for (const { width, height, objects } of samples) {
    for (const { box, label } of objects) {
      expect(label).not.toBe('');
      const inside = box.xmin >= 0 && box.ymin >= 0 && box.xmax <= width && box.ymax <= height;
      expect(inside && box.xmin < box.xmax && box.ymin < box.ymax, JSON.stringify(box)).toBe(true);
    }
  }
  for (const { file, message } of issues) {
    expect(file).not.toBe('');
    expect([message.length > 5, message.length < 1000, /undefined|\[object|NaN is/.test(message)], message).toEqual([
      true,
      true,
      false,
    ]);
  }
}

async function folderWith(format: string, change: (text: string) => string | Uint8Array): Promise<string> {
  const files: Files = await written[format]!();
  const name = annotation[format]!;
  const folder = await temporaryFolder();
  await writeFiles(folder, { ...files, [name]: change(String(files[name])) });
  return folder;
}

/** What is told of it, by an error or an issue. */
const told = (result: OpenedDataset | DetectorError) =>
  result instanceof DetectorError
    ? result.message
    : result.issues.map(({ file, message }) => `${file}: ${message}`).join('\n');

describe.each(formats)('%s', (format) => {
  const name = annotation[format]!.replace(/^.*\//, '');

  it('cut anywhere is told, or what is left is read', async () => {
    for (const part of [1, 3, 6, 9, 11]) {
      const folder = await folderWith(format, (text) => text.slice(0, Math.floor((part / 12) * text.length)));
      const result = await open(format, folder);
      // A line of numbers is as good without the lines that follow.
      if (format !== 'yolo' && format !== 'imagefolder') expect(told(result), `${part}`).toContain(name);
    }
  });

  it.each<[string, (text: string) => string | Uint8Array]>([
    ['nothing', () => ''],
    ['blanks', () => ' \n\t\n '],
    ['zeros', () => new Uint8Array(5000)],
    ['random bytes', () => Uint8Array.from({ length: 5000 }, (_, i) => Math.floor(256 * random(1, 0, i, 40)))],
    ['no UTF-8', (text) => Buffer.concat([Buffer.from(text), Buffer.from([0xff, 0xfe, 0x80, 0xc3])])],
    ['a byte order mark', (text) => `\ufeff${text}`],
    ['deep nesting of arrays', () => `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['deep nesting of objects', () => '{"a":'.repeat(100_000)],
    ['deep nesting of elements', () => `<annotation>${'<a>'.repeat(100_000)}`],
    ['a document type', () => '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation>&b;</annotation>'],
    ['one line of many megabytes', () => '1 '.repeat(3_000_000)],
    ['NaN for every number', (text) => text.replace(/\d+(\.\d+)?/g, 'NaN')],
    ['huge numbers', (text) => text.replace(/\d+(\.\d+)?/g, '1e308')],
    ['numbers beyond all numbers', (text) => text.replace(/\d+(\.\d+)?/g, '1e999')],
    ['negative numbers', (text) => text.replace(/(?<![\w.-])\d+(\.\d+)?/g, '-$&')],
    ['decimal commas', (text) => text.replace(/(\d)\.(\d)/g, '$1,$2')],
    ['numbers of a thousand digits', (text) => text.replace(/\d+(\.\d+)?/g, '9'.repeat(1000))],
    ['everything twice', (text) => text + text],
    ['NUL in every name', (text) => text.replace(/dog/g, 'd\0g')],
    ['__proto__ for a key', (text) => text.replace(/"(images|label|bbox|objects|data|shapes)"/g, '"__proto__"')],
    ['no quotes', (text) => text.replaceAll('"', '')],
    ['the wrong brackets', (text) => text.replaceAll(']', '}').replaceAll('>', '<')],
  ])('with %s is an issue or a typed error', async (_, change) => {
    const result = await open(format, await folderWith(format, change));
    if (result instanceof DetectorError) expect(result.code).toMatch(/^(DATASET_|ANNOTATION_|CONFIG_)/);
  });

  it('of the wrong types everywhere is an issue or a typed error', async () => {
    const values = ['null', 'true', '-1', '1.5', '"x"', '[]', '{}', '[[1]]', '{"a":1}', '"\\u0000"'];
    for (let seed = 0; seed < 8; seed++) {
      const folder = await folderWith(format, (text) => {
        let at = 0;
        const draw = () => random(seed, 0, at++, 41);
        const value = () => values[Math.floor(values.length * draw())]!;
        return text.replace(
          /(?<=[:[,]\s*)("[^"]*"|-?\d+(\.\d+)?|null|true|false)|(?<=>)[^<>\s][^<>]*(?=<)|(?<==)"[^"]*"/g,
          (whole) =>
            draw() < 0.15
              ? whole.startsWith('"') && format === 'cvat'
                ? `"${value().replaceAll('"', '')}"`
                : value()
              : whole,
        );
      });
      await open(format, folder);
    }
  });

  it('with mutations of its bytes is an issue or a typed error', async () => {
    for (let seed = 0; seed < 8; seed++) {
      const folder = await folderWith(format, (text) => {
        const bytes = Buffer.from(text);
        for (let i = 0; i < 1 + 6 * random(seed, 0, 0, 42); i++)
          bytes[Math.floor(bytes.length * random(seed, 1, i, 42))] = Math.floor(256 * random(seed, 2, i, 42));
        return bytes;
      });
      await open(format, folder);
    }
  });

  it('that is a folder is told', async () => {
    const folder = await folderWith(format, (text) => text);
    await rm(join(folder, annotation[format]!));
    await mkdir(join(folder, annotation[format]!));
    await open(format, folder);
    const given = await openDataset(join(folder, annotation[format]!), { cache: false }).catch((error) => error);
    expect(given).toBeInstanceOf(DetectorError);
  });

  it.skipIf(process.platform === 'win32')('with pipes, loops of links and links to nowhere does not hang', async () => {
    const folder = await folderWith(format, (text) => text);
    for (const pipe of ['pipe.jpg', 'pipe.xml', 'pipe.json', 'pipe.txt', 'pipe.yaml', 'pipe.jsonl'])
      execFileSync('mkfifo', [join(folder, pipe)]);
    await symlink('.', join(folder, 'loop'));
    await mkdir(join(folder, 'deep/er'), { recursive: true });
    await symlink('../..', join(folder, 'deep/er/up-and-down'));
    await symlink('/no/such/place', join(folder, 'dangling.jpg'));
    await symlink('itself.json', join(folder, 'itself.json'));
    const result = await open(format, folder);
    if (!(result instanceof DetectorError)) expect(result.counts.used).toBeGreaterThan(0);
  });
});
