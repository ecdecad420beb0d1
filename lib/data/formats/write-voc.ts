import { type DatasetWriter, type OutputImage, type OutputPart, stemOf, usualNames } from './writer.ts';

/** The folders of Pascal VOC's development kit. It has no place for scores. */
export const vocWriter: DatasetWriter = {
  name: 'voc',
  imageFolder: () => 'JPEGImages',
  *files(parts) {
    for (const part of parts) {
      for (const image of part.images) {
        yield { path: `Annotations/${stemOf(image.fileName)}.xml`, pieces: [annotationOf(image)] };
      }
      if (part.name !== 'all') yield { path: `ImageSets/Main/${usualNames[part.name]}.txt`, pieces: idsOf(part) };
    }
  },
};

function* idsOf({ images }: OutputPart): Generator<string> {
  for (const { fileName } of images) yield `${stemOf(fileName)}\n`;
}

function annotationOf({ fileName, width, height, objects }: OutputImage): string {
  const lines = objects.map(
    ({ label, box, difficult }) =>
      `  <object>\n    <name>${escapeXml(label)}</name>\n    <pose>Unspecified</pose>\n    <truncated>0</truncated>\n` +
      `    <difficult>${difficult ? 1 : 0}</difficult>\n    <bndbox><xmin>${box.xmin}</xmin><ymin>${box.ymin}</ymin>` +
      `<xmax>${box.xmax}</xmax><ymax>${box.ymax}</ymax></bndbox>\n  </object>\n`,
  );
  const size = `  <size><width>${width}</width><height>${height}</height><depth>3</depth></size>\n`;
  return `<annotation>\n  <filename>${escapeXml(fileName)}</filename>\n${size}${lines.join('')}</annotation>\n`;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}
