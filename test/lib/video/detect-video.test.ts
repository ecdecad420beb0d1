import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import { decodeImage } from '../../../lib/images/image.ts';
import type { VideoFrame, VideoOptions } from '../../../lib/video/options.ts';
import { squareClasses } from '../../support/squares.ts';
import { ffmpeg, hasFfmpeg, needsFfmpeg, probeFile, type Watched, watchVideo, writeClip } from '../../support/video.ts';

let folder: string;
let detector: Detector;
const inFolder = (name: string) => join(folder, name);
const few = { scoreThreshold: 0, maxDetections: 5 };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  const imageSize = { width: 64, height: 64 };
  detector = await Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize });
});
afterAll(async () => {
  detector.dispose();
  await rm(folder, { recursive: true, force: true });
});

const watch = (source: string, options: VideoOptions = {}) => watchVideo(detector, source, { ...few, ...options });
const timesOf = ({ frames }: Watched) => frames.map(({ timestamp }) => timestamp);
const countTo = (end: number) => Array.from({ length: end }, (_, i) => i);

describe.skipIf(!hasFfmpeg)(`detectVideo${needsFfmpeg}`, () => {
  it('gives for each frame what detect gives for that frame as an image', async () => {
    const clip = await writeClip(inFolder('a.mp4'), { size: '120x80', frames: 7 });
    const { frames, info, summary, warnings } = await watch(clip, { batchSize: 1, images: true });
    expect(info).toEqual({
      width: 120,
      height: 80,
      frameRate: 10,
      frames: 7,
      seconds: 0.7,
      audio: undefined,
      isLive: false,
    });
    expect(warnings).toEqual([]);
    expect(summary).toMatchObject({ frames: 7, dropped: 0 });
    expect(summary!.modelFps).toBeGreaterThan(summary!.fps);
    expect(frames.map(({ frame }) => frame)).toEqual(countTo(7));
    expect(frames.map(({ timestamp }) => timestamp)).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
    await ffmpeg(`-i ${clip} ${inFolder('%d.png')}`);
    for (const { frame, detections, image } of frames) {
      const picture = inFolder(`${frame + 1}.png`);
      expect(image).toEqual(await decodeImage(picture));
      expect(detections).toHaveLength(5);
      expect(detections).toEqual(await detector.detect(picture, few));
    }
  });

  it('gives the same in batches, of which the last is short', async () => {
    const clip = await writeClip(inFolder('batches.mp4'), { frames: 10 });
    const [single, batched] = [await watch(clip, { batchSize: 1 }), await watch(clip, { batchSize: 4 })];
    expect(timesOf(batched)).toEqual(timesOf(single));
    for (const [i, { detections, image }] of batched.frames.entries()) {
      // Another batch size rounds otherwise.
      expect(detections[0]!.score).toBeCloseTo(single.frames[i]!.detections[0]!.score, 4);
      expect(image).toBeUndefined();
    }
  });

  it('keeps an exact frame rate, size and length in its output, and calls onFrame first', async () => {
    const clip = await writeClip(inFolder('ntsc.mp4'), { size: '96x64', rate: '30000/1001', frames: 12 });
    const output = inFolder('ntsc-out.mp4');
    const order: string[] = [];
    const onFrame = ({ frame }: VideoFrame) => void order.push(`hook ${frame}`);
    for await (const { frame } of detector.detectVideo(clip, { ...few, output, onFrame })) order.push(`loop ${frame}`);
    expect(order).toEqual(countTo(12).flatMap((frame) => [`hook ${frame}`, `loop ${frame}`]));
    const [before, after] = [await probeFile(clip), await probeFile(output)];
    const { width, height, r_frame_rate, avg_frame_rate, time_base, duration_ts, nb_frames } = before.streams[0];
    const same = { width, height, r_frame_rate, avg_frame_rate, time_base, duration_ts, nb_frames };
    expect(after.streams).toMatchObject([{ codec_name: 'h264', pix_fmt: 'yuv420p', ...same }]);
    expect(after.times).toEqual(before.times);
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('draws the boxes into its output, and only there', async () => {
    const clip = inFolder('grey.mkv');
    await ffmpeg(`-f lavfi -i color=gray:size=64x64:rate=5 -frames:v 3 -c:v ffv1 ${clip}`);
    const outputs = [inFolder('none.mkv'), inFolder('boxes.mkv')];
    const none = await watch(clip, { scoreThreshold: 1, output: outputs[0]! });
    const boxes = await watch(clip, { output: outputs[1]!, images: true, track: true });
    expect(none.frames[0]!.detections).toEqual([]);
    expect(boxes.frames[2]!.detections).toHaveLength(5);
    const deviation = async (path: string) => {
      await ffmpeg(`-i ${path} -frames:v 1 ${path}.png`);
      const { data } = await decodeImage(`${path}.png`);
      return data.filter((value) => Math.abs(value - 128) > 20).length / data.length;
    };
    expect(await deviation(outputs[0]!)).toBe(0);
    expect(await deviation(outputs[1]!)).toBeGreaterThan(0.05);
    expect(boxes.frames[0]!.image!.data.every((value) => Math.abs(value - 128) < 5)).toBe(true);
  });

  it('hands out pixels that the loop may change, or give away', async () => {
    const clip = inFolder('large-grey.mkv');
    await ffmpeg(`-f lavfi -i color=gray:size=320x240:rate=5 -frames:v 4 -c:v ffv1 ${clip}`);
    const output = inFolder('untouched.mkv');
    for await (const { image } of detector.detectVideo(clip, { scoreThreshold: 1, images: true, output })) {
      image!.data.fill(255);
      structuredClone(image!.data, { transfer: [image!.data.buffer as ArrayBuffer] });
    }
    await ffmpeg(`-i ${output} -vf tile=4x1 ${output}.png`);
    const { data } = await decodeImage(`${output}.png`);
    expect(data.every((value) => Math.abs(value - 128) < 5)).toBe(true);
  });

  it('keeps times that are not regular', async () => {
    const clip = inFolder('vfr.mp4');
    const irregular = String.raw`select=not(mod(n\,5))+lt(n\,6)`;
    await ffmpeg(
      `-f lavfi -i testsrc=size=64x64:rate=30 -t 1 -vf ${irregular} -vsync vfr -c:v libx264 -pix_fmt yuv420p ${clip}`,
    );
    const output = inFolder('vfr-out.mp4');
    const seen = await watch(clip, { output });
    const frames = [0, 1, 2, 3, 4, 5, 10, 15, 20, 25];
    expect(timesOf(seen)).toEqual(frames.map((frame) => expect.closeTo(frame / 30, 6)));
    expect((await probeFile(output)).times).toEqual((await probeFile(clip)).times);
  });

  it('turns frames upright', async () => {
    const lying = await writeClip(inFolder('lying.mp4'), { size: '96x64', frames: 3 });
    const clip = inFolder('rotated.mp4');
    await ffmpeg(`-i ${lying} -c copy -metadata:s:v:0 rotate=90 ${clip}`);
    const output = inFolder('upright.mp4');
    const { info, frames } = await watch(clip, { output, images: true });
    expect(info).toMatchObject({ width: 64, height: 96 });
    await ffmpeg(`-i ${clip} -frames:v 1 ${inFolder('upright.png')}`);
    expect(frames[0]!.image).toEqual(await decodeImage(inFolder('upright.png')));
    const { streams } = await probeFile(output);
    expect(streams).toMatchObject([{ width: 64, height: 96 }]);
    expect(JSON.stringify(streams)).not.toContain('rotat');
  });

  it('pads odd sides in the output alone', async () => {
    const clip = await writeClip(inFolder('odd.mp4'), {
      size: '75x53',
      frames: 2,
      args: '-c:v libx264 -pix_fmt yuv444p',
    });
    const output = inFolder('even.mp4');
    const { info, frames } = await watch(clip, { output, images: true });
    expect([info!.width, info!.height, frames[0]!.image!.width, frames[0]!.image!.height]).toEqual([75, 53, 75, 53]);
    for (const { box } of frames[0]!.detections) expect(box.xmax).toBeLessThanOrEqual(75);
    expect((await probeFile(output)).streams).toMatchObject([{ width: 76, height: 54, pix_fmt: 'yuv420p' }]);
  });

  it('keeps the form of pixels and what the colours mean', async () => {
    const args =
      '-vf setsar=4/3 -c:v libx264 -pix_fmt yuv420p -colorspace bt709 -color_primaries bt709 -color_trc bt709';
    const clip = await writeClip(inFolder('colour.mp4'), { frames: 2, args });
    const output = inFolder('colour-out.mp4');
    await watch(clip, { output, scoreThreshold: 1 });
    const same = {
      sample_aspect_ratio: '4:3',
      color_space: 'bt709',
      color_primaries: 'bt709',
      color_transfer: 'bt709',
    };
    expect((await probeFile(output)).streams).toMatchObject([same]);
    for (const [path, png] of [
      [clip, 'before'],
      [output, 'after'],
    ] as const)
      await ffmpeg(`-i ${path} -frames:v 1 ${inFolder(`${png}.png`)}`);
    const [before, after] = [await decodeImage(inFolder('before.png')), await decodeImage(inFolder('after.png'))];
    const difference =
      before.data.reduce((sum, value, i) => sum + Math.abs(value - after.data[i]!), 0) / before.data.length;
    expect(difference).toBeLessThan(6);
  });
});

describe.skipIf(!hasFfmpeg)(`following and smoothing${needsFfmpeg}`, () => {
  it('gives an object of a still image one number in all frames', async () => {
    const clip = inFolder('still.mkv');
    await ffmpeg(`-f lavfi -i testsrc=size=64x64:rate=5:duration=0.2 -vf loop=6:1 -c:v ffv1 ${clip}`);
    const { frames } = await watch(clip, { track: true, batchSize: 1 });
    expect(frames.length).toBeGreaterThan(4);
    const ids = frames.map(({ detections }) => detections.map(({ id }) => id));
    expect(new Set(ids[0])).toEqual(new Set([1, 2, 3, 4, 5]));
    for (const of of ids) expect(of).toEqual(ids[0]);
    const smooth = await watch(clip, { smooth: 0.5, batchSize: 1 });
    const scores = smooth.frames.map(({ detections }) => detections[0]!.score);
    expect(scores[0]).toBeCloseTo(frames[0]!.detections[0]!.score / 2, 6);
    expect(scores[3]).toBeCloseTo((frames[0]!.detections[0]!.score * 15) / 16, 6);
    expect(smooth.frames[0]!.detections[0]).not.toHaveProperty('id');
  });
});
