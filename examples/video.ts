// Finds objects in a video, follows them, and draws their boxes; needs ffmpeg:
//   npx tsx examples/video.ts runs/example/best in.mp4 [out.mp4]
import { Detector } from 'dinov3-det';

const [checkpoint = 'runs/example/best', source = 'in.mp4', output = 'out.mp4'] = process.argv.slice(2);

const detector = await Detector.load(checkpoint);
const frames = detector.detectVideo(source, {
  output,
  track: true,
  smooth: 0.5,
  scoreThreshold: 0.15,
  onWarning: (message) => console.error(message),
  onEnd: ({ frames, fps }) => console.log(`${frames} frames at ${fps.toFixed(1)} a second: ${output}`),
});
for await (const { timestamp, detections } of frames) {
  const objects = detections.map(({ id, label, score }) => `#${id} ${label} ${score.toFixed(2)}`);
  console.log(`${timestamp.toFixed(2)} s: ${objects.join(', ') || 'nothing'}`);
}
detector.dispose();
