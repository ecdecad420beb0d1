import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import { ChildProgram } from '../../../lib/video/child-program.ts';
import type { VideoOptions } from '../../../lib/video/options.ts';
import { squareClasses } from '../../support/squares.ts';
import { ffmpeg, hasFfmpeg, needsFfmpeg, probeFile, type Watched, watchVideo, writeClip } from '../../support/video.ts';
import { expectError, writeFiles } from '../../support/voc.ts';

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
/** A second and a half of a moving image with a tone. */
const withAudio = (args: string) =>
  `-f lavfi -i testsrc=size=64x64:rate=10 -f lavfi -i sine -t 1.5 -pix_fmt yuv420p ${args}`;

describe.skipIf(!hasFfmpeg)(`audio${needsFfmpeg}`, () => {
  it('is copied', async () => {
    const clip = inFolder('tone.mp4');
    await ffmpeg(withAudio(`-c:v libx264 -c:a aac ${clip}`));
    const output = inFolder('tone-out.mp4');
    expect((await watch(clip, { output })).info?.audio).toBe('aac');
    const md5 = async (path: string) => {
      await ffmpeg(`-i ${path} -map 0:a -c copy -f md5 ${inFolder('md5')}`);
      return readFile(inFolder('md5'), 'utf8');
    };
    expect(await md5(output)).toBe(await md5(clip));
    const { streams } = await probeFile(output);
    expect(streams.map(({ codec_type }) => codec_type)).toEqual(['video', 'audio']);
  });

  it('is encoded anew where the container cannot hold it, and stays where it was', async () => {
    const clip = inFolder('late.mkv');
    // The video begins half a second after the tone.
    await ffmpeg(
      '-f lavfi -i sine=duration=1.5 -itsoffset 0.5 -f lavfi -i testsrc=size=64x64:rate=10:duration=1 -c:v libx264 -c:a flac',
      clip,
    );
    const output = inFolder('late.webm');
    const { warnings, frames } = await watch(clip, { output });
    expect(warnings).toEqual([]);
    expect(frames[0]!.timestamp).toBe(0.5);
    const { streams, times } = await probeFile(output);
    expect(streams).toMatchObject([
      { codec_name: 'vp9' },
      { codec_name: 'opus', start_time: expect.stringMatching(/^-?0\.0/) },
    ]);
    expect(times).toHaveLength(10);
    expect(times[0]).toBeCloseTo(0.5, 1);
  });
});

describe.skipIf(!hasFfmpeg)(`sources${needsFfmpeg}`, () => {
  it('may be URLs', async () => {
    const clip = await readFile(await writeClip(inFolder('served.mkv'), { frames: 4 }));
    const server = createServer((_, response) => response.end(clip)).listen(0, '127.0.0.1');
    try {
      await new Promise((resolve) => server.once('listening', resolve));
      const { port } = server.address() as AddressInfo;
      const seen = await watch(`http://127.0.0.1:${port}/served.mkv`);
      expect(seen.frames).toHaveLength(4);
      expect(seen.info?.isLive).toBe(false);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it('may be live: frames that there is no time for are left out, until stop', async () => {
    const stop = new AbortController();
    const output = inFolder('live.mp4');
    let count = 0;
    const onFrame = () => void (++count === 20 && stop.abort());
    const endless = 'testsrc=size=64x64:rate=50';
    const { frames, info, summary } = await watch(endless, { format: 'lavfi', stop: stop.signal, output, onFrame });
    expect(info).toMatchObject({ isLive: true, frames: undefined, seconds: undefined });
    expect(frames).toHaveLength(20);
    expect(frames.at(-1)!.frame).toBeGreaterThan(19);
    expect(summary!.dropped).toBeGreaterThan(0);
    const first = frames[0]!.timestamp;
    const { times } = await probeFile(output);
    expect(times).toEqual(frames.map(({ timestamp }) => expect.closeTo(timestamp - first, 3)));
  });

  it('may be streams, which end by stalling', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const url = `udp://127.0.0.1:${socket.address().port}`;
    socket.close();
    // For as long as the detector needs to begin, and no longer.
    const frames = '-f lavfi -i testsrc=size=64x64:rate=25 -c:v mpeg4 -g 5 -f mpegts';
    const sender = new ChildProgram('ffmpeg', ['-nostdin', '-v', 'level+error', '-re', ...frames.split(' '), url]);
    const output = inFolder('streamed.mp4');
    const seen: Watched = { frames: [], info: undefined, summary: undefined, warnings: [] };
    const onFrame = () => void (seen.frames.length === 8 && sender.kill());
    try {
      const watching = watchVideo(detector, url, { ...few, output, stallSeconds: 12, onFrame }, seen);
      await expectError(
        watching,
        'VIDEO_STALLED',
        `${url} stalled`,
        'no frame came for 12 s',
        'streamed.mp4 has the frames before that',
      );
    } finally {
      sender.kill();
      await sender.ended;
    }
    expect(seen.info?.isLive).toBe(true);
    expect(seen.frames.length).toBeGreaterThan(8);
    expect((await probeFile(output)).times).toHaveLength(seen.frames.length);
  });

  it('do not make ffmpeg follow a playlist', async () => {
    const clip = await writeClip(inFolder('other.ts'), { frames: 3 });
    let requests = 0;
    const server = createServer((_, response) => response.end(String(++requests))).listen(0, '127.0.0.1');
    try {
      await new Promise((resolve) => server.once('listening', resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.ts`;
      const m3u8 = (target: string) => `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${target}\n#EXT-X-ENDLIST\n`;
      await writeFiles(folder, {
        'list.mp4': `ffconcat version 1.0\nfile ${clip}\n`,
        'list.m3u8': m3u8(url),
        'local.m3u8': m3u8(clip),
        '%03d.png': 'not an image',
      });
      for (const name of ['list.mp4', 'list.m3u8', 'local.m3u8', '%03d.png'])
        await expectError(watch(inFolder(name)), 'VIDEO_UNREADABLE', name);
      expect(requests).toBe(0);
    } finally {
      server.close();
    }
  });
});
