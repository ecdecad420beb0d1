// Finds objects in an image, and draws their boxes:
//   npx tsx examples/detect.ts runs/example/best photo.jpg [annotated.jpg]
import { writeFile } from 'node:fs/promises';
import { Detector } from 'dinov3-det';

const [checkpoint = 'runs/example/best', image = 'photo.jpg', annotated = 'annotated.jpg'] = process.argv.slice(2);

const detector = await Detector.load(checkpoint);
const detections = await detector.detect(image, { scoreThreshold: 0.15 });
for (const { label, score, box } of detections) {
  const { xmin, ymin, xmax, ymax } = box;
  console.log(`${label} ${score.toFixed(2)} at [${[xmin, ymin, xmax, ymax].map(Math.round).join(', ')}]`);
}
await writeFile(annotated, await detector.annotate(image, detections));
console.log(`${detections.length} objects: ${annotated}`);
detector.dispose();
