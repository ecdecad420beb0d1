import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import { squareClasses } from '../../support/squares.ts';
import { hasFfmpeg, needsFfmpeg, probeFile, writeClip } from '../../support/video.ts';

it.skipIf(!hasFfmpeg)(`memory stays where it was on a long video${needsFfmpeg}`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  const imageSize = { width: 64, height: 64 };
  const detector = await Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize });
  try {
    const clip = await writeClip(join(folder, 'long.mkv'), { frames: 3000, rate: '30', args: '-c:v mpeg4' });
    const output = join(folder, 'out.mp4');
    const rss: number[] = [];
    // No box is drawn: this is about what frames leave behind, and drawing takes most of the time.
    for await (const { frame } of detector.detectVideo(clip, { output, scoreThreshold: 1, track: true, images: true }))
      if (frame === 500 || frame === 2999) rss.push(process.memoryUsage().rss / 1e6);
    // The 2,500 frames in between are 31 MB, and twice that with their drawings.
    expect(rss[1]! - rss[0]!).toBeLessThan(25);
    expect((await probeFile(output)).times).toHaveLength(3000);
  } finally {
    detector.dispose();
    await rm(folder, { recursive: true, force: true });
  }
});
