import { describe, expect, it } from 'vitest';
import { checkDataset } from '../../../lib/data/check-dataset.ts';
import { Dataset } from '../../../lib/data/dataset.ts';
import { VocDataset } from '../../../lib/data/voc-dataset.ts';
import { openSquares } from '../../support/squares.ts';
import { temporaryFolder } from '../../support/voc.ts';

const object = { label: 'dog', labelIndex: 1, box: { xmin: 1, ymin: 2, xmax: 30, ymax: 40 }, difficult: false };
const sample = { id: 'a', imagePath: 'a.jpg', width: 64, height: 48, objects: [object] };
const sound = { classes: ['dog', 'cat'], samples: [sample], issues: [], length: 1 };

const withSample = (change: object) => ({ ...sound, samples: [{ ...sample, ...change }] });
const withObject = (change: object) => withSample({ objects: [object, { ...object, ...change }] });
const withBox = (change: object) => withObject({ box: { ...object.box, ...change } });

describe('checkDataset', () => {
  it('takes what VocDataset.open, Dataset.from and others make', async () => {
    const voc = await openSquares(await temporaryFolder(), 2);
    expect(voc).toBeInstanceOf(VocDataset);
    expect(checkDataset('train', voc)).toBe(voc);
    const own = await Dataset.from([{ imagePath: 'a.jpg', width: 9, height: 9, objects: [] }], {
      classes: sound.classes,
    });
    expect(checkDataset('train', own)).toBe(own);
    expect(checkDataset('train', sound)).toBe(sound);
    const half = { ...voc, samples: voc.samples.slice(1), length: 1 };
    expect(checkDataset('train', half)).toBe(half);
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'Expected Dataset, as VocDataset.open or Dataset.from give it, for train but received'],
    ['an array', [], 'Expected Dataset'],
    ['a promise', Promise.resolve(sound), 'a promise: write await'],
    ['another object', {}, 'for train.classes'],
    [
      'a background',
      { ...sound, classes: ['__background__', 'dog', 'cat'] },
      'train.classes begins with the background',
    ],
    ['no samples', { ...sound, samples: undefined }, 'Expected array for train.samples'],
    ['none of them', { ...sound, samples: [], length: 0 }, 'train.samples.length'],
    ['no issues', { ...sound, issues: undefined }, 'Expected array for train.issues'],
    ['no length', { ...sound, length: undefined }, 'for train.length'],
    ['another length', { ...sound, length: 2 }, 'for train.length but received 2'],
    ['no id', withSample({ id: undefined }), 'for train.samples[0].id'],
    ['no path', withSample({ imagePath: undefined }), 'for train.samples[0].imagePath'],
    ['half a pixel', withSample({ width: 0.5 }), 'for train.samples[0].width'],
    ['no objects', withSample({ objects: undefined }), 'Expected array for train.samples[0].objects'],
    ['no label', withObject({ label: undefined }), 'for train.samples[0].objects[1].label'],
    ['the background', withObject({ labelIndex: 0 }), 'integer from 1 to 2 for train.samples[0].objects[1].labelIndex'],
    [
      'a class too many',
      withObject({ labelIndex: 3 }),
      'integer from 1 to 2 for train.samples[0].objects[1].labelIndex',
    ],
    ['another label', withObject({ labelIndex: 2 }), 'Expected "cat", the class of labelIndex 2, for'],
    ['no flag', withObject({ difficult: undefined }), 'for train.samples[0].objects[1].difficult'],
    ['no box', withObject({ box: undefined }), 'for train.samples[0].objects[1].box'],
    ['NaN', withBox({ xmin: Number.NaN }), 'for train.samples[0].objects[1].box.xmin'],
    ['a box beyond the image', withBox({ xmax: 65 }), 'number from 0 to 64 for train.samples[0].objects[1].box.xmax'],
    ['a turned box', withBox({ ymin: 41 }), 'number from 0 to 40 for train.samples[0].objects[1].box.ymin'],
    ['an empty box', withBox({ xmin: 30 }), 'Expected a box with an area for train.samples[0].objects[1].box'],
  ])('refuses %s, naming the field', (_, value, message) => {
    expect(() => checkDataset('train', value)).toThrow(message);
  });

  it('names the remedy for a sample that is wrong', () => {
    expect(() => checkDataset('train', withObject({ labelIndex: 3 }))).toThrow('Dataset.from(samples, { classes })');
  });
});
