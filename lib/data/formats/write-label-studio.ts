import { type DatasetWriter, type OutputImage, type OutputPart, usualNames } from './writer.ts';

/**
 * Label Studio's JSON, one file for each part. Detections become predictions with their scores, which Label Studio shows to be
 * corrected. Images are named as its local storage has them.
 */
export const labelStudioWriter: DatasetWriter = {
  name: 'label-studio',
  imageFolder,
  *files(parts) {
    for (const part of parts)
      yield { path: `${part.name === 'all' ? 'tasks' : usualNames[part.name]}.json`, pieces: tasksOf(part) };
  },
};

function imageFolder(part: keyof typeof usualNames): string {
  return part === 'all' ? 'images' : `images/${usualNames[part]}`;
}

function* tasksOf({ name, images }: OutputPart): Generator<string> {
  yield '[\n';
  for (const [i, image] of images.entries())
    yield `${i === 0 ? '' : ',\n'}${JSON.stringify(taskOf(image, imageFolder(name)))}`;
  yield '\n]\n';
}

function taskOf(image: OutputImage, folder: string) {
  const result = image.objects.map((object, i) => regionOf(object, i, image));
  const scores = image.objects.flatMap(({ score }) => score ?? []);
  const url = `/data/local-files/?d=${[...folder.split('/'), image.fileName].map(encodeURIComponent).join('/')}`;
  if (scores.length === 0) return { data: { image: url }, annotations: [{ result, was_cancelled: false }] };
  return { data: { image: url }, predictions: [{ model_version: 'dinov3-det', score: Math.min(...scores), result }] };
}

function regionOf(
  { label, box, score }: OutputImage['objects'][number],
  index: number,
  { width, height }: OutputImage,
) {
  return {
    ...{ id: `object-${index + 1}`, type: 'rectanglelabels', from_name: 'label', to_name: 'image' },
    ...{ original_width: width, original_height: height, image_rotation: 0 },
    value: {
      ...{ x: (100 * box.xmin) / width, y: (100 * box.ymin) / height },
      ...{ width: (100 * (box.xmax - box.xmin)) / width, height: (100 * (box.ymax - box.ymin)) / height, rotation: 0 },
      rectanglelabels: [label],
    },
    ...(score !== undefined && { score }),
  };
}
