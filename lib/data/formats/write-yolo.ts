import { type DatasetWriter, type OutputImage, stemOf, usualNames } from './writer.ts';

/** Ultralytics' `data.yaml` and text files, with the scores of detections as a sixth column. */
export const yoloWriter: DatasetWriter = {
  name: 'yolo',
  imageFolder: (part) => `images/${usualNames[part]}`,
  *files(parts, classes) {
    const names = classes.map((name, i) => `  ${i}: ${JSON.stringify(name)}\n`).join('');
    // A file without a training part is read by nobody.
    const keys = parts.map(
      ({ name }) => `${name === 'all' ? 'train' : usualNames[name]}: images/${usualNames[name]}\n`,
    );
    yield { path: 'data.yaml', pieces: [`path: .\n${keys.join('')}names:\n${names}`] };
    for (const { name, images } of parts) {
      for (const image of images) {
        if (image.objects.length === 0) continue;
        yield { path: `labels/${usualNames[name]}/${stemOf(image.fileName)}.txt`, pieces: linesOf(image, classes) };
      }
    }
  },
};

function* linesOf({ width, height, objects }: OutputImage, classes: readonly string[]): Generator<string> {
  for (const { label, box, score } of objects) {
    const sides = [
      (box.xmin + box.xmax) / 2 / width,
      (box.ymin + box.ymax) / 2 / height,
      (box.xmax - box.xmin) / width,
      (box.ymax - box.ymin) / height,
    ];
    const numbers = [...sides.map((side) => side.toFixed(10)), ...(score === undefined ? [] : [score.toFixed(6)])];
    yield `${classes.indexOf(label)} ${numbers.join(' ')}\n`;
  }
}
