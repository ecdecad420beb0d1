import { type DatasetWriter, type OutputPart, usualNames } from './writer.ts';

/** COCO's JSON, one file for each part, with the scores of detections as `score`. */
export const cocoWriter: DatasetWriter = {
  name: 'coco',
  imageFolder: (part) => (part === 'all' ? 'images' : usualNames[part]),
  *files(parts, classes) {
    for (const part of parts) {
      const name = part.name === 'all' ? 'instances' : `instances_${usualNames[part.name]}`;
      yield { path: `annotations/${name}.json`, pieces: contentOf(part, classes) };
    }
  },
};

function* contentOf({ images }: OutputPart, classes: readonly string[]): Generator<string> {
  yield '{"images": [\n';
  for (const [i, { fileName, width, height }] of images.entries()) {
    yield `${i === 0 ? '' : ',\n'}${JSON.stringify({ id: i + 1, file_name: fileName, width, height })}`;
  }
  yield '\n], "annotations": [\n';
  let id = 0;
  for (const [i, { objects }] of images.entries()) {
    for (const { label, box, score } of objects) {
      const [width, height] = [box.xmax - box.xmin, box.ymax - box.ymin];
      const annotation = {
        ...{ id: ++id, image_id: i + 1, category_id: classes.indexOf(label) + 1 },
        ...{ bbox: [box.xmin, box.ymin, width, height], area: width * height, iscrowd: 0 },
        ...(score !== undefined && { score }),
      };
      yield `${id === 1 ? '' : ',\n'}${JSON.stringify(annotation)}`;
    }
  }
  const categories = classes.map((name, i) => ({ id: i + 1, name, supercategory: '' }));
  yield `\n], "categories": ${JSON.stringify(categories)}}\n`;
}
