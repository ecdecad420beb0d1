type Point = [x: number, y: number];

/** Corners at equal angles from the top. The distances from the centre alternate between `radii`. */
function spokes(count: number, ...radii: number[]): Point[] {
  return Array.from({ length: count }, (_, i) => {
    const angle = (2 * Math.PI * i) / count;
    const radius = radii[i % radii.length]!;
    return [radius * Math.sin(angle), -radius * Math.cos(angle)];
  });
}

/** The outlines within [-1, 1] on both axes, y downwards. */
const outlines = {
  circle: spokes(40, 1),
  square: [
    [-0.9, -0.9],
    [0.9, -0.9],
    [0.9, 0.9],
    [-0.9, 0.9],
  ],
  triangle: [
    [0, -1],
    [1, 0.9],
    [-1, 0.9],
  ],
  star: spokes(10, 1.1, 0.45),
  cross: [
    [-0.33, -1],
    [0.33, -1],
    [0.33, -0.33],
    [1, -0.33],
    [1, 0.33],
    [0.33, 0.33],
    [0.33, 1],
    [-0.33, 1],
    [-0.33, 0.33],
    [-1, 0.33],
    [-1, -0.33],
    [-0.33, -0.33],
  ],
} satisfies Record<string, Point[]>;

export type ShapeName = keyof typeof outlines;
export const shapeNames = Object.keys(outlines) as ShapeName[];

/** The corners of a shape, around its centre, with a radius of about 1. */
export function outline(shape: ShapeName): readonly Point[] {
  return outlines[shape];
}
