import { type DatasetWriter, type OutputImage, stemOf, usualNames } from './writer.ts';

/** LabelMe's JSON beside each image, with the scores of detections as `score`, as X-AnyLabeling has them. */
export const labelmeWriter: DatasetWriter = {
  name: 'labelme',
  imageFolder: folderOf,
  *files(parts) {
    for (const { name, images } of parts) {
      const folder = folderOf(name);
      for (const image of images) {
        yield { path: `${folder}${folder && '/'}${stemOf(image.fileName)}.json`, pieces: [contentOf(image)] };
      }
    }
  },
};

function folderOf(part: keyof typeof usualNames): string {
  return part === 'all' ? '' : usualNames[part];
}

function contentOf({ fileName, width, height, objects }: OutputImage): string {
  const shapes = objects.map(({ label, box, score, difficult }) => ({
    label,
    points: [
      [box.xmin, box.ymin],
      [box.xmax, box.ymax],
    ],
    ...{ group_id: null, shape_type: 'rectangle', flags: difficult ? { difficult: true } : {} },
    ...(score !== undefined && { score }),
  }));
  const content = {
    ...{ version: '5.4.1', flags: {}, shapes },
    ...{ imagePath: fileName, imageData: null, imageHeight: height, imageWidth: width },
  };
  return `${JSON.stringify(content, null, 1)}\n`;
}
