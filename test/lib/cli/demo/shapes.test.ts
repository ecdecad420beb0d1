import { expect, it } from 'vitest';
import { outline, shapeNames } from '../../../../lib/cli/demo/shapes.ts';

it.each(shapeNames)('%s fills about the square from -1 to 1', (name) => {
  for (const axis of [0, 1] as const) {
    const values = outline(name).map((point) => point[axis]);
    expect(Math.max(...values)).toBeGreaterThan(0.85);
    expect(Math.min(...values)).toBeLessThan(-0.85);
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(1.1);
  }
});

it('has the corners that the names say', () => {
  expect(shapeNames).toEqual(['circle', 'square', 'triangle', 'star', 'cross']);
  expect(shapeNames.map((name) => outline(name).length)).toEqual([40, 4, 3, 10, 12]);
});
