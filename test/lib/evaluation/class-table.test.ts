import { expect, test } from 'vitest';
import { runInSlices } from '../../../lib/base/time-slices.ts';
import { classTables } from '../../../lib/evaluation/class-table.ts';
import { type DetectionRow, evaluatedImage, mulberry32 } from '../../support/evaluated-images.ts';

/** The xmin of the detections of class 1, in the order of its table. */
async function order(scores: readonly number[]): Promise<number[]> {
  const rows = scores.map((score, i): DetectionRow => [1, score, i, 0, i + 1, 1]);
  const [table] = await runInSlices(classTables([evaluatedImage(rows, [])]));
  return [...table!.detections.boxes].filter((_, i) => i % 4 === 0);
}

/** By definition: Array.prototype.sort is stable. */
const expected = (scores: readonly number[]) => [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!);

test.each([
  ['of every sign and size', [0.5, -0.5, 1e-300, 1e300, -1e300, 3, 2.5, -1e-300, 0]],
  ['that are equal, 0 and -0 among them', [0, -0, 0.5, 0, 0.5, -0, 0.5]],
  ['that differ in the last bit', [0.1 + 0.2, 0.3, 0.3 + Number.EPSILON, 0.1 + 0.2]],
  ['of which there is one', [0.3]],
  [
    'as many as float32 has, with ties',
    Array.from({ length: 3000 }, mulberry32(3)).map((x) => Math.fround(x * 50) | 0),
  ],
  ['of float64', Array.from({ length: 3000 }, mulberry32(4)).map((x) => Math.log(x))],
])('detections come by falling score: scores %s', async (_, scores) => {
  expect(await order(scores)).toEqual(expected(scores));
});

test('each class has its members of all images, objects in the order given', async () => {
  const images = [
    evaluatedImage([[2, 0.5, 0, 0, 1, 1]], [[3, 1, 1, 3, 4]], { crowd: Uint8Array.of(1) }),
    evaluatedImage(
      [
        [2, 0.7, 5, 5, 6, 6],
        [1, 0.1, 0, 0, 1, 1],
      ],
      [
        [3, 0, 0, 2, 2],
        [2, 0, 0, 1, 1],
      ],
      { areas: Float64Array.of(9, 8), difficult: Uint8Array.of(1, 0), ignore: Uint8Array.of(0, 1) },
    ),
  ];
  const tables = await runInSlices(classTables(images));
  expect(tables.map(({ labelIndex }) => labelIndex)).toEqual([1, 2, 3]);
  expect(tables[1]!.detections).toEqual({
    images: Uint32Array.of(1, 0),
    boxes: Float64Array.of(5, 5, 6, 6, 0, 0, 1, 1),
  });
  expect(tables[1]!.objects.ignore).toEqual(Uint8Array.of(1));
  expect(tables[2]!.detections.images).toHaveLength(0);
  expect(tables[2]!.objects).toEqual({
    images: Uint32Array.of(0, 1),
    boxes: Float64Array.of(1, 1, 3, 4, 0, 0, 2, 2),
    areas: Float64Array.of(6, 9),
    crowd: Uint8Array.of(1, 0),
    ignore: Uint8Array.of(0, 0),
    difficult: Uint8Array.of(0, 1),
  });
});
