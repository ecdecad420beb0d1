import { expect, it } from 'vitest';
import { HEIGHT, imageFiles, labelStudioOf, scenes, WIDTH } from '../../../support/formats.ts';
import { brief, objectsOf, openFiles } from '../../../support/open-files.ts';

const images = await imageFiles('images/');
type Task = ReturnType<typeof labelStudioOf>;

async function openTasks(change: (tasks: Task[]) => unknown, more: Record<string, Uint8Array> = {}) {
  const tasks = scenes.map(labelStudioOf);
  const written = change(tasks) ?? tasks;
  return await openFiles({ ...images, ...more, 'export.json': JSON.stringify(written) });
}

const region = (type: string, value: object) => ({
  ...{ type, original_width: WIDTH, original_height: HEIGHT, image_rotation: 0 },
  value,
});

it.each([
  ['an uploaded name', '/data/upload/3/0123abcd-a.jpg'],
  ['a name as it was', 'a.jpg'],
  ['a local file', '/data/local-files/?d=pets%2Fimages%2Fa.jpg'],
  ['a bucket', 's3://pets/images/a.jpg'],
  ['a URL', 'https://example.org/data/upload/3/0123abcd-a.jpg?x=1'],
])('finds an image by %s', async (_, name) => {
  const { samples, issues } = await openTasks((tasks) => {
    tasks[0]!.data.image = name;
  });
  expect(issues).toEqual([]);
  expect(objectsOf(samples[0]!)).toEqual(['dog 1 2 30 40', 'cat 8 4 16 24']);
});

it('prefers the file that has the number in its name', async () => {
  const { samples } = await openTasks(() => [labelStudioOf(scenes[0]!, 0)], {
    'images/ab12cd30-a.jpg': images['images/b.jpg'] as Uint8Array,
  });
  expect(samples.map(({ id }) => id)).toEqual(['images/ab12cd30-a']);
});

it('takes boxes around turned rectangles, polygons and ellipses, in percent', async () => {
  const shapes = [
    // 16 x 8 pixels, turned by a quarter about its upper left corner (32, 24).
    region('rectanglelabels', { x: 50, y: 50, width: 25, height: 50 / 3, rotation: 90, rectanglelabels: ['dog'] }),
    region('polygonlabels', { points: [[25, 50], [50, 25], [75, 75]], polygonlabels: ['cat'] }), // biome-ignore format: three points
    region('ellipselabels', { x: 50, y: 50, radiusX: 25, radiusY: 25, rotation: 0, ellipselabels: ['cat'] }),
  ];
  const { samples, issues } = await openTasks((tasks) => {
    tasks[0]!.annotations[0]!.result = shapes as never;
  });
  expect(issues).toEqual([]);
  expect(objectsOf(samples[0]!)).toEqual(['dog 24 24 32 40', 'cat 16 12 48 36', 'cat 16 12 48 36']);
});

it('leaves out a task that nobody has labelled: it is no background', async () => {
  const { samples, issues, counts } = await openTasks((tasks) => {
    tasks[0]!.annotations = [];
    tasks[1]!.annotations[0]!.was_cancelled = true;
  });
  expect(samples.map(({ id }) => id)).toEqual(['images/my photo 1']);
  expect(brief(issues)).toEqual([
    ['a.jpg', 'annotation-missing', 'skipped'],
    ['b.jpg', 'annotation-missing', 'skipped'],
  ]);
  expect(counts).toMatchObject({ seen: 3, used: 1, background: 0, skipped: 2 });
});

it('takes one of several annotations, the ground truth first, and says so', async () => {
  const { samples, issues } = await openTasks((tasks) => {
    const [first] = tasks[0]!.annotations;
    tasks[0]!.annotations = [
      { ...first!, result: [] },
      { ...first!, ground_truth: true },
    ];
  });
  expect(samples[0]!.objects).toHaveLength(2);
  expect(brief(issues)).toEqual([['export.json[0]', 'duplicate-object', 'kept']]);
});

it('reads JSON-MIN, and skips brushes and regions without a label', async () => {
  const [value] = labelStudioOf(scenes[0]!, 0).annotations[0]!.result.map((each) => ({
    ...each.value,
    original_width: WIDTH,
    original_height: HEIGHT,
  }));
  const label = [
    value,
    { ...value, rectanglelabels: [] },
    { format: 'rle', rle: [1], brushlabels: ['dog'], original_width: WIDTH, original_height: HEIGHT },
  ];
  const { samples, issues } = await openTasks(() => [
    { id: 1, image: '/data/upload/ab12cd30-a.jpg', label, annotator: 1 },
  ]);
  expect(objectsOf(samples[0]!)).toEqual(['dog 1 2 30 40']);
  expect(brief(issues)).toEqual([
    ['export.json[1]', 'annotation-invalid', 'skipped'],
    ['export.json[2]', 'annotation-invalid', 'skipped'],
  ]);
});
