import { describe, expect, it } from 'vitest';
import { classRows, describeRows } from '../../../lib/detector/class-rows.ts';

const f32 = (name: string, shape: number[]) => ({ name, dtype: 'F32' as const, shape });
const span = (name: string, shape: number[], offset: number) => ({
  ...f32(name, shape),
  offset,
  byteLength: 4 * shape.reduce((product, side) => product * side, 1),
});

describe('the rows of classes in the tensors of a head', () => {
  it('of a dense head are the classes', () => {
    const name = 'head.rtm_cls.1.weight';
    const rows = classRows(f32(name, [3, 8, 1, 1]), span(name, [2, 8, 1, 1], 1000), {
      ours: ['dog', 'bird', 'cat'],
      theirs: ['cat', 'dog'],
    });
    expect(rows).toEqual([
      { name, dtype: 'F32', shape: [8, 1, 1], byteLength: 32, offset: 1032, row: 0 }, // dog
      { name, dtype: 'F32', shape: [8, 1, 1], byteLength: 32, offset: 1000, row: 2 }, // cat
    ]);
  });

  it('of torchvision heads are classes within default boxes, the background before them', () => {
    const name = 'head.classification_head.module_list.0.bias';
    // Two default boxes: [background, cat] twice; ours [background, dog, cat] twice.
    const rows = classRows(f32(name, [6]), span(name, [4], 0), { ours: ['dog', 'cat'], theirs: ['cat'] });
    expect(rows!.map(({ offset, row }) => [offset / 4, row])).toEqual([
      [0, 0],
      [1, 2],
      [2, 3],
      [3, 5],
    ]);
    expect(rows!.every(({ shape, byteLength }) => shape.length === 0 && byteLength === 4)).toBe(true);
  });

  it('are unknown where the numbers do not fit', () => {
    const name = 'head.classification_head.cls_logits.bias';
    const classes = { ours: ['a', 'b'], theirs: ['a'] };
    expect(classRows(f32(name, [6]), span(name, [5], 0), classes)).toBeUndefined();
    expect(classRows(f32(name, [9]), span(name, [4], 0), classes)).toBeUndefined();
    expect(classRows(f32('head.rtm_reg.0.bias', [4]), span('head.rtm_reg.0.bias', [4], 0), classes)).toBeUndefined();
  });

  it('are reported by name', () => {
    expect(describeRows({ ours: ['a', 'c', 'b'], theirs: ['b', 'a'] })).toEqual({ kept: ['a', 'b'], added: ['c'] });
  });
});
