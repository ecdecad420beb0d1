import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listImages, outputNames } from '../../../../lib/cli/options/image-files.ts';
import { temporaryFolder, writeFiles } from '../../../support/voc.ts';

const files = {
  'a.jpg': '',
  'B.JPEG': '',
  'c.PNG': '',
  'd.webp': '',
  'e.gif': '',
  'notes.txt': '',
  '._a.jpg': '',
  'sub/f.jpg': '',
  'sub/deep/g.png': '',
};

async function list(inputs: string[], recursive = false) {
  const problems: string[] = [];
  const found = await listImages(inputs, recursive, (path, message) => problems.push(`${path}: ${message}`));
  return { found, problems };
}

describe('listImages', () => {
  it('lists the images of a folder by name, in any case', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, files);
    const { found, problems } = await list([folder]);
    expect(found).toEqual(['B.JPEG', 'a.jpg', 'c.PNG', 'd.webp'].map((name) => join(folder, name)));
    expect(problems).toEqual([]);
  });

  it('goes into folders of folders when asked', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, files);
    const { found } = await list([folder], true);
    expect(found).toContain(join(folder, 'sub', 'deep', 'g.png'));
    expect(found).toHaveLength(6);
  });

  it('takes a file whatever its name, and nothing twice', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, files);
    const note = join(folder, 'notes.txt');
    const image = join(folder, 'a.jpg');
    const { found } = await list([note, image, folder, `${folder}/./a.jpg`]);
    expect(found.filter((path) => path === image)).toHaveLength(1);
    expect(found[0]).toBe(note);
  });

  it('reports what is not there, and goes on', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, files);
    const { found, problems } = await list([join(folder, 'none.jpg'), join(folder, 'a.jpg')]);
    expect(found).toEqual([join(folder, 'a.jpg')]);
    expect(problems).toEqual([`${join(folder, 'none.jpg')}: it does not exist`]);
  });
});

describe('outputNames', () => {
  it('keeps names, and numbers those that would meet', () => {
    const nameOf = outputNames(['detections.json']);
    const names = ['x/a.jpg', 'y/a.jpg', 'y/A.JPG', 'z/a-2.jpg', 'b.webp', 'b.png', 'c.PNG', 'photo'].map(nameOf);
    expect(names).toEqual([
      { name: 'a.jpg', format: 'jpeg' },
      { name: 'a-2.jpg', format: 'jpeg' },
      { name: 'A-3.JPG', format: 'jpeg' },
      { name: 'a-2-2.jpg', format: 'jpeg' },
      { name: 'b.png', format: 'png' },
      { name: 'b-2.png', format: 'png' },
      { name: 'c.PNG', format: 'png' },
      { name: 'photo.png', format: 'png' },
    ]);
  });

  it('never takes a name that is in use', () => {
    expect(outputNames(['A.jpg', 'a-2.jpg'])('in/a.jpg').name).toBe('a-3.jpg');
  });
});
