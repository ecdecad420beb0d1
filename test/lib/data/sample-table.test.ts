import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { runInSlices } from '../../../lib/base/time-slices.ts';
import type { Sample } from '../../../lib/data/sample.ts';
import {
  areSound,
  type SampleColumns,
  SampleTable,
  SampleTableBuilder,
  selectSamples,
} from '../../../lib/data/sample-table.ts';

const classes = ['dog', '猫'];
const object = (labelIndex: number, xmin: number) => ({
  ...{ label: classes[labelIndex - 1]!, labelIndex, difficult: labelIndex === 2 },
  box: { xmin, ymin: 0.1, xmax: xmin + 1 / 3, ymax: 48 },
});
const samples: Sample[] = [
  { id: 'a', imagePath: '/data/a.jpg', width: 64, height: 48, objects: [object(1, 0), object(2, 0.5)] },
  { id: 'b/ä', imagePath: '/data/b/ä.jpg', width: 48, height: 64, objects: [], stored: true },
  { id: '', imagePath: '/data/c.jpg', width: 64, height: 48, objects: [object(1, 1e-3)] },
];

function tableOf(list: readonly Sample[]): SampleTable {
  const builder = new SampleTableBuilder();
  for (const sample of list) builder.push(sample);
  return builder.finish(classes);
}

describe('the list of a table', () => {
  const list = tableOf(samples).list();

  it('is what went in, bit for bit', () => {
    expect(list).toEqual(samples);
    expect(JSON.parse(JSON.stringify(list))).toEqual(samples);
  });

  it('is an array to everyone who reads it', () => {
    expect(Array.isArray(list)).toBe(true);
    expect([list.length, list[1]!.id, list.at(-1)!.id, list[3], list[-1 as 0]]).toEqual([
      3,
      'b/ä',
      '',
      undefined,
      undefined,
    ]);
    expect([...list].map(({ id }) => id)).toEqual(['a', 'b/ä', '']);
    expect(list.map(({ width }) => width)).toEqual([64, 48, 64]);
    expect(list.filter(({ stored }) => stored)).toEqual([samples[1]]);
    expect(list.slice(1, 2)).toEqual([samples[1]]);
    expect([].concat(list as never)).toHaveLength(3);
    expect(Object.keys(list)).toEqual(['0', '1', '2']);
    expect([1 in list, 3 in list, 'map' in list]).toEqual([true, false, true]);
    const [first, ...rest] = list;
    expect([first!.id, rest.length]).toEqual(['a', 2]);
    expect(inspect(list)).toContain("imagePath: '/data/a.jpg'");
    expect(inspect(tableOf(Array(9).fill(samples[0])).list())).toContain('and 6 more samples');
  });

  it('refuses to be changed instead of forgetting the change', () => {
    const writable = list as Sample[];
    for (const change of [
      () => writable.push(samples[0]!),
      () => writable.sort(),
      () => writable.pop(),
      () => Object.assign(writable, { 0: samples[1] }),
      () => Object.assign(writable, { length: 0 }),
      () => Object.freeze(writable),
    ])
      expect(change).toThrow('Dataset.from');
    for (const change of [
      () => Object.assign(list[0]!, { width: 1 }),
      () => list[0]!.objects.pop(),
      () => Object.assign(list[0]!.objects[0]!.box, { xmin: 1 }),
    ])
      expect(change).toThrow(TypeError);
    expect(list).toEqual(samples);
  });

  it('takes 37 bytes for an object', () => {
    const { columns } = tableOf([{ ...samples[0]!, objects: Array(1000).fill(object(1, 0)) }]);
    const { boxes, labels, difficult } = columns;
    expect([boxes, labels, difficult].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBe(37_000);
  });
});

it('a selection has those that are chosen, of a table or of any array', () => {
  for (const list of [samples, tableOf(samples).list()])
    expect(selectSamples(list, classes, (index) => index !== 1)).toEqual([samples[0], samples[2]]);
});

describe('columns from a file', () => {
  const { columns } = tableOf(samples);
  const isSound = (changed: Partial<SampleColumns>) => runInSlices(areSound({ ...columns, ...changed }, 2));

  it('are those of a table', async () => {
    expect(await isSound({})).toBe(true);
    expect(SampleTable.fromColumns(classes, columns).list()).toEqual(samples);
  });

  it.each<[string, Partial<SampleColumns>]>([
    ['too few boxes', { boxes: columns.boxes.subarray(4) }],
    ['a box outside', { boxes: columns.boxes.map((side) => side * 2) }],
    ['NaN', { boxes: columns.boxes.map(() => Number.NaN) }],
    ['a label of no class', { labels: columns.labels.map(() => 3) }],
    ['the background', { labels: columns.labels.map(() => 0) }],
    ['objects of no image', { starts: Uint32Array.of(0, 2, 2, 2) }],
    ['starts that go back', { starts: Uint32Array.of(0, 3, 2, 3) }],
    ['too many sizes', { sizes: new Float64Array(8) }],
    ['names that end early', { ids: { ...columns.ids, bytes: columns.ids.bytes.subarray(1) } }],
    ['too few paths', { paths: { ...columns.paths, starts: columns.paths.starts.subarray(1) } }],
  ])('are refused with %s', async (_, changed) => {
    expect(await isSound(changed)).toBe(false);
  });
});
