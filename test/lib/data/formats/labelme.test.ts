import { expect, it } from 'vitest';
import { imageFiles, labelmeOf, scenes } from '../../../support/formats.ts';
import { brief, objectsOf, openFiles } from '../../../support/open-files.ts';

const images = await imageFiles('');

/** The three scenes, of which the first has these shapes. */
async function openShapes(shapes: unknown[], more: object = {}) {
  const files = Object.fromEntries(scenes.map((scene) => [`${scene.name}.json`, JSON.stringify(labelmeOf(scene))]));
  return await openFiles({
    ...images,
    ...files,
    'a.json': JSON.stringify({ ...labelmeOf(scenes[0]!), shapes, ...more }),
  });
}

const shape = (shape_type: string, points: number[][], label: unknown = 'dog') => ({ label, points, shape_type });

it('takes corners in any order, polygons, circles and masks', async () => {
  const { samples, issues } = await openShapes([
    shape('rectangle', [[30, 2], [1, 40]]), // biome-ignore format: two points
    shape('polygon', [[5, 9], [20, 3], [8, 12]]), // biome-ignore format: three points
    shape('circle', [[20, 20], [23, 24]]), // biome-ignore format: centre and a point of it
    { ...shape('mask', [[1, 1], [9, 9]]), mask: 'iVBORw0KGgo=' }, // biome-ignore format: two points
    { label: ' cat ', points: [[0, 0], [4, 0], [4, 4]], flags: { difficult: true } }, // biome-ignore format: no type is a polygon
  ]);
  expect(issues).toEqual([]);
  expect(objectsOf(samples[0]!)).toEqual([
    'dog 1 2 30 40',
    'dog 5 3 20 12',
    'dog 15 15 25 25',
    'dog 1 1 9 9',
    'cat 0 0 4 4',
  ]);
  expect(samples[0]!.objects.map(({ difficult }) => difficult)).toEqual([false, false, false, false, true]);
});

it.each([
  ['a line', shape('linestrip', [[1, 2], [3, 4]]), 'a linestrip has no area'], // biome-ignore format: two points
  ['half a polygon', shape('polygon', [[1, 2], [3, 4]]), 'at least 3 points, found 2'], // biome-ignore format: two points
  ['no label', shape('rectangle', [[1, 2], [3, 4]], null), 'it has no label'], // biome-ignore format: two points
])('skips %s, and keeps the others', async (_, bad, message) => {
  const { samples, issues } = await openShapes([shape('rectangle', [[1, 2], [30, 40]]), bad]); // biome-ignore format: two points
  expect(objectsOf(samples[0]!)).toEqual(['dog 1 2 30 40']);
  expect(brief(issues)).toEqual([['a.json[1]', 'annotation-invalid', 'skipped']]);
  expect(issues[0]!.message).toContain(message);
});

it('passes over an image of many megabytes in the file, and finds its image by imagePath', async () => {
  const more = { imageData: 'A'.repeat(20 * 1024 ** 2), imagePath: '..\\photos\\other.jpg' };
  const { 'a.jpg': a, ...others } = images;
  const files = {
    ...others,
    'photos/other.jpg': a!,
    'labels/x.json': JSON.stringify({ ...labelmeOf(scenes[0]!), ...more }),
  };
  const { samples } = await openFiles(files);
  expect(samples.map(({ id }) => id)).toEqual(['photos/other']);
});

it('counts what has no counterpart, and a file that cannot be read', async () => {
  const files = {
    'a.json': JSON.stringify(labelmeOf(scenes[0]!)),
    'my photo 1.json': '{"shapes": [], ',
    'z.json': '{"shapes": []}',
  };
  const { issues, counts } = await openFiles({ ...images, ...files });
  expect(brief(issues)).toEqual([
    ['z.json', 'image-missing', 'skipped'],
    ['my photo 1.json', 'annotation-invalid', 'skipped'],
  ]);
  expect(counts).toEqual({
    ...{ seen: 4, used: 1, background: 0, skipped: 2, ignored: 1 },
    ignoredBecause: { 'image that no annotation names': 1 },
  });
});
