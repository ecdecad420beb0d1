import { describe, expect, it } from 'vitest';
import { checkImage } from '../../../lib/evaluation/evaluated-image.ts';
import { evaluatedImage } from '../../support/evaluated-images.ts';

const fine = evaluatedImage([[1, 0.9, 0, 0, 10, 10]], [[1, 0, 0, 10, 10]]);

describe('checkImage', () => {
  it('passes an image of every kind of array, and one without anything', () => {
    const flags = { areas: new Float32Array(1), crowd: new Uint8Array(1), ignore: new Uint8Array(1) };
    expect(() => checkImage({ ...fine, groundTruth: { ...fine.groundTruth, ...flags } }, 0)).not.toThrow();
    expect(() => checkImage(evaluatedImage([], []), 0)).not.toThrow();
  });

  it.each([
    ['detections', 'boxes', Float64Array.of(0, 0, 10), RangeError, 'Expected 4 for images[7].detections.boxes.length'],
    [
      'detections',
      'boxes',
      [0, 0, 10, 10],
      TypeError,
      'Expected Float64Array or Float32Array for images[7].detections.boxes',
    ],
    ['detections', 'boxes', Float64Array.of(0, Number.NaN, 10, 10), RangeError, 'images[7].detections.boxes[1]'],
    ['detections', 'boxes', Float64Array.of(0, 0, Number.POSITIVE_INFINITY, 10), RangeError, 'boxes[2]'],
    [
      'detections',
      'boxes',
      Float64Array.of(20, 0, 10, 10),
      RangeError,
      'xmin (20) for xmax at images[7].detections.boxes[2]',
    ],
    [
      'detections',
      'boxes',
      Float64Array.of(0, 20, 10, 10),
      RangeError,
      'ymin (20) for ymax at images[7].detections.boxes[3]',
    ],
    [
      'detections',
      'scores',
      Float64Array.of(Number.NaN),
      RangeError,
      'images[7].detections.scores[0] but received NaN',
    ],
    [
      'detections',
      'scores',
      Float64Array.of(0.5, 0.5),
      RangeError,
      'Expected 1 for images[7].detections.scores.length',
    ],
    ['detections', 'labels', Int32Array.of(-1), RangeError, 'images[7].detections.labels[0] but received -1'],
    ['detections', 'labels', Float64Array.of(1), TypeError, 'Expected Int32Array for images[7].detections.labels'],
    ['groundTruth', 'labels', undefined, TypeError, 'Expected Int32Array for images[7].groundTruth.labels'],
    ['groundTruth', 'boxes', Float64Array.of(20, 0, 10, 10), RangeError, 'images[7].groundTruth.boxes[2]'],
    ['groundTruth', 'areas', Float64Array.of(-1), RangeError, 'finite number >= 0 for images[7].groundTruth.areas[0]'],
    ['groundTruth', 'crowd', new Uint8Array(0), RangeError, 'Expected 1 for images[7].groundTruth.crowd.length'],
    ['groundTruth', 'ignore', [true], TypeError, 'Expected Uint8Array for images[7].groundTruth.ignore'],
    ['groundTruth', 'difficult', null, TypeError, 'Expected Uint8Array for images[7].groundTruth.difficult'],
  ] as const)('refuses %s.%s = %o', (part, field, value, kind, message) => {
    const broken = { ...fine, [part]: { ...fine[part], [field]: value } };
    expect(() => checkImage(broken, 7)).toThrow(kind);
    expect(() => checkImage(broken, 7)).toThrow(message);
  });

  it.each([
    [null, 'Expected object for images[7]'],
    [{ groundTruth: fine.groundTruth }, 'Expected object for images[7].detections'],
    [{ detections: fine.detections }, 'Expected object for images[7].groundTruth'],
  ])('refuses %o', (value, message) => {
    expect(() => checkImage(value as never, 7)).toThrow(TypeError);
    expect(() => checkImage(value as never, 7)).toThrow(message);
  });
});
