import { describe, expect, it } from 'vitest';

import { golden } from '../../support/shared.ts';
import { expectClose, loadTestAddon, matrix, rowsOf, tensor, uniform } from '../support.ts';

const addon = await loadTestAddon();
const { box_coder: reference } = await golden('ssd_golden.json');

/** Boxes of 2 to 102 pixels a side: no ratio of two sides reaches the bound of 62.5. */
function randomBoxes(name: string, count: number) {
  const values = uniform(name, count * 4).map((value) => (value + 0.5) * 100);
  for (let i = 0; i < values.length; i += 4) {
    values[i + 2]! += values[i]! + 2;
    values[i + 3]! += values[i + 1]! + 2;
  }
  return tensor(values, [count, 4]);
}

describe('box coder', () => {
  it('encodes as the reference', () => {
    const codes = addon.encodeBoxes(matrix(reference.ref), matrix(reference.prior));
    expectClose(codes.data, reference.encoded.flat(), 1e-6);
  });

  it('decodes as the reference', () => {
    const boxes = addon.decodeBoxes(matrix(reference.encoded), matrix(reference.prior));
    expectClose(boxes.data, reference.decoded.flat(), 1e-6);
  });

  it('bounds a size that would overflow, from above alone', () => {
    const boxes = addon.decodeBoxes(matrix(reference.codes_overflow), matrix(reference.prior));
    expectClose(boxes.data, reference.decoded_overflow.flat(), 1e-6);
  });

  it('weighs centres by 10 and sizes by 5', () => {
    const codes = addon.encodeBoxes(matrix([[30, 30, 50, 70]]), matrix([[10, 20, 20, 40]]));
    expectClose(codes.data, [25, 10, 5 * Math.log(2), 5 * Math.log(2)], 1e-6);
  });

  it('weighs both by 1 for RetinaNet, and decodes what it encoded so', () => {
    const [box, anchor] = [matrix([[30, 30, 50, 70]]), matrix([[10, 20, 20, 40]])];
    const codes = addon.encodeBoxes(box, anchor, [1, 1]);
    expectClose(codes.data, [2.5, 1, Math.log(2), Math.log(2)], 1e-6);
    expectClose(addon.decodeBoxes(codes, anchor, [1, 1]).data, box.data, 1e-5);
  });

  it('decodes codes of zero to the default boxes themselves', () => {
    const anchors = [
      [-3, 4, 8, 9],
      [0, 0, 96, 48],
    ];
    const boxes = addon.decodeBoxes(tensor(new Float32Array(8), [2, 4]), matrix(anchors));
    expect(rowsOf(boxes)).toEqual(anchors);
  });

  it('decodes what it encoded', () => {
    const boxes = randomBoxes('boxes', 500);
    const anchors = randomBoxes('anchors', 500);
    expectClose(addon.decodeBoxes(addon.encodeBoxes(boxes, anchors), anchors).data, boxes.data, 1e-4);
  });

  it('codes every image of a batch against the same default boxes', () => {
    const anchors = randomBoxes('anchors', 3);
    const codes = tensor(uniform('codes', 24), [2, 3, 4]);
    const both = addon.decodeBoxes(codes, anchors);
    expect(both.shape).toEqual([2, 3, 4]);
    const second = addon.decodeBoxes(tensor(codes.data.subarray(12), [3, 4]), anchors);
    expect([...both.data.subarray(12)]).toEqual([...second.data]);
  });
});
