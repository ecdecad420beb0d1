import { existsSync } from 'node:fs';
import { link, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import type { VideoOptions } from '../../../lib/video/options.ts';
import { squareClasses } from '../../support/squares.ts';
import {
  childProcesses,
  fakeFfmpeg,
  ffmpeg,
  hasFfmpeg,
  needsFfmpeg,
  probeFile,
  type Watched,
  watchVideo,
  writeClip,
} from '../../support/video.ts';
import { expectError } from '../../support/voc.ts';

let folder: string;
let clip: string;
let detector: Detector;
/** What came before an error. */
let seen: Watched;
const rejections: unknown[] = [];
const onRejection = (reason: unknown) => rejections.push(reason);

const inFolder = (name: string) => join(folder, name);
const watch = (source: string, options: VideoOptions = {}) =>
  watchVideo(detector, source, { scoreThreshold: 0, maxDetections: 3, batchSize: 2, ...options }, seen);
const leftovers = async () => (await readdir(folder)).filter((name) => name.startsWith('.'));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  const imageSize = { width: 64, height: 64 };
  detector = await Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize });
  if (hasFfmpeg) clip = await writeClip(inFolder('clip.mp4'), { frames: 40 });
  process.on('unhandledRejection', onRejection);
});
afterAll(async () => {
  process.off('unhandledRejection', onRejection);
  detector.dispose();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  seen = { frames: [], info: undefined, summary: undefined, warnings: [] };
});
/** Whatever happened: no process, not even a dead one, no temporary file, no rejection that nobody looks at. */
afterEach(async () => {
  if (process.platform === 'linux') expect(await childProcesses()).toEqual([]);
  expect(await leftovers()).toEqual([]);
  await setTimeout(10);
  expect(rejections).toEqual([]);
});

describe('wrong arguments', () => {
  it.each([
    [{ output: 'a.xyz' }, 'ends in .mp4, .m4v, .mov, .mkv, .webm'],
    [{ smooth: 1 }, 'smooth'],
    [{ batchSize: 0 }, 'batchSize'],
    [{ format: '-i' }, 'format'],
    [{ signal: {} }, 'AbortSignal for signal'],
    [{ onFrame: 1 }, 'onFrame'],
    [{ stallSeconds: 0 }, 'stallSeconds'],
    [{ treshold: 1 }, 'Unknown key "treshold"'],
  ])('%o', async (options, message) => {
    await expect(watch('a.mp4', options as VideoOptions)).rejects.toThrow(message);
  });

  it('ffmpeg that is missing is told before anything else', async () => {
    await expectError(watch('none.mp4', { ffmpeg: '/no/such/ffmpeg' }), 'FFMPEG_NOT_FOUND', '/no/such/ffmpeg');
  });
});

describe.skipIf(!hasFfmpeg)(`files that are no whole video${needsFfmpeg}`, () => {
  it('with sound alone, without an index, or with other things', async () => {
    await ffmpeg(`-f lavfi -i sine=duration=1 -c:a aac ${inFolder('tone.m4a')}`);
    await expectError(watch(inFolder('tone.m4a')), 'VIDEO_UNREADABLE', 'tone.m4a', 'no video, only audio aac');
    const whole = await readFile(clip);
    await writeFile(inFolder('cut.mp4'), whole.subarray(0, whole.length / 2)); // the index is at the end
    const output = inFolder('of-nothing.mp4');
    await expectError(watch(inFolder('cut.mp4'), { output }), 'VIDEO_UNREADABLE', 'cut.mp4', 'moov atom not found');
    await writeFile(inFolder('text.mp4'), 'this is text');
    await expectError(watch(inFolder('text.mp4')), 'VIDEO_UNREADABLE', 'text.mp4');
    expect(existsSync(output)).toBe(false);
  });

  it('cut short: what is there comes, with a warning, and the output has it', async () => {
    const whole = await readFile(await writeClip(inFolder('whole.mkv'), { frames: 40, size: '160x120' }));
    await writeFile(inFolder('cut.mkv'), whole.subarray(0, whole.length * 0.6));
    const output = inFolder('cut-out.mp4');
    await watch(inFolder('cut.mkv'), { output });
    expect(seen.frames.length).toBeGreaterThan(5);
    expect(seen.frames.length).toBeLessThan(39);
    expect(seen.warnings).toEqual([
      expect.stringMatching(/cut\.mkv is damaged or cut short: it ended after \d+ frames/),
    ]);
    expect((await probeFile(output)).times).toHaveLength(seen.frames.length);
  });
});

describe.skipIf(!hasFfmpeg)(`an output${needsFfmpeg}`, () => {
  it('is never the input, by whatever name', async () => {
    const before = await readFile(clip);
    await link(clip, inFolder('other-name.mp4'));
    for (const output of [clip, join(folder, '.', 'clip.mp4'), inFolder('other-name.mp4')])
      await expect(watch(clip, { output })).rejects.toThrow(/a file other than the source .*clip\.mp4 for output/);
    expect(await readFile(clip)).toEqual(before);
  });

  it('that cannot be written is told before the first frame', async () => {
    await expectError(watch(clip, { output: inFolder('no/folder/a.mp4') }), 'OUTPUT_NOT_WRITABLE', 'no/folder/a.mp4');
    expect(seen.frames).toEqual([]);
  });

  it('is the old file until the new one is whole', async () => {
    const output = inFolder('old.mp4');
    await writeFile(output, 'mine');
    for await (const { frame } of detector.detectVideo(clip, { output, batchSize: 2 })) if (frame === 6) break;
    expect(await readFile(output, 'utf8')).toBe('mine');
    await watch(clip, { output });
    expect((await stat(output)).size).toBeGreaterThan(1000);
  });
});

describe.skipIf(!hasFfmpeg)(`giving up${needsFfmpeg}`, () => {
  it('by break', async () => {
    let count = 0;
    for await (const _ of detector.detectVideo(clip, { output: inFolder('broken-off.mp4') })) if (++count === 3) break;
    expect(count).toBe(3);
    expect(existsSync(inFolder('broken-off.mp4'))).toBe(false);
  });

  it('by an error of a hook or of the loop', async () => {
    const onFrame = () => {
      throw new Error('mine');
    };
    await expect(watch(clip, { onFrame, output: inFolder('thrown.mp4') })).rejects.toThrow('mine');
    const loop = async () => {
      for await (const _ of detector.detectVideo(clip)) throw new Error('mine too');
    };
    await expect(loop()).rejects.toThrow('mine too');
  });

  it('by a signal: before, between, and at any moment', async () => {
    const reason = new Error('enough');
    await expect(watch(clip, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(seen.info).toBeUndefined();
    const controller = new AbortController();
    const onFrame = () => void (seen.frames.length === 4 && controller.abort(reason));
    const output = inFolder('aborted.mp4');
    await expect(watch(clip, { signal: controller.signal, onFrame, output })).rejects.toBe(reason);
    expect(seen.frames).toHaveLength(5);
    for (const delay of [1, 30, 90, 150, 250, 400]) {
      const late = new AbortController();
      const timer = setTimeout(delay).then(() => late.abort(reason));
      // A live source does not end by itself.
      const watching = watch('testsrc=size=64x64', { format: 'lavfi', signal: late.signal, output });
      await expect(watching).rejects.toBe(reason);
      await timer;
    }
    expect(existsSync(output)).toBe(false);
  });

  it('by stop: the output has what came', async () => {
    const output = inFolder('stopped.mp4');
    const stop = new AbortController();
    const onFrame = () => void (seen.frames.length === 6 && stop.abort());
    await watch(clip, { stop: stop.signal, onFrame, output });
    expect(seen.frames).toHaveLength(7);
    expect(seen.warnings).toEqual([]);
    expect((await probeFile(output)).times).toHaveLength(7);
    expect(seen.summary).toMatchObject({ frames: 7 });
  });

  it('by stop before the first frame: there is no output', async () => {
    const output = inFolder('never.mp4');
    await watch(clip, { stop: AbortSignal.abort(), output });
    expect(seen).toMatchObject({ frames: [], summary: { frames: 0 } });
    expect(existsSync(output)).toBe(false);
  });
});

describe.skipIf(!hasFfmpeg || process.platform === 'win32')(
  `an ffmpeg that${needsFfmpeg || ' (a shell script)'}`,
  () => {
    const bytes = 64 * 64 * 3;
    const fake = (behaviour: Parameters<typeof fakeFfmpeg>[1]) => fakeFfmpeg(folder, behaviour);

    it('hangs while it decodes is given up, and the output has what came', async () => {
      const program = await fake({ decode: `"$@" | head -c ${5 * bytes + 100}; sleep 1000` });
      const output = inFolder('hung.mp4');
      const hung = watch(clip, { ffmpeg: program, stallSeconds: 3, output });
      await expectError(
        hung,
        'VIDEO_STALLED',
        'clip.mp4 stalled',
        'no frame came for 3 s after 5 frames',
        'hung.mp4 has the frames before that',
      );
      expect(seen.frames).toHaveLength(5);
      expect((await probeFile(output)).times).toHaveLength(5);
    });

    it('dies while it decodes is told of', async () => {
      const program = await fake({ decode: `"$@" | head -c ${3 * bytes}; echo "out of luck" >&2; kill -9 $$` });
      const output = inFolder('died.mp4');
      const died = watch(clip, { ffmpeg: program, output });
      await expectError(
        died,
        'FFMPEG_FAILED',
        'SIGKILL while it read',
        'after 3 frames',
        'out of luck',
        'died.mp4 has the frames before that',
      );
      expect((await probeFile(output)).times).toHaveLength(3);
    });

    it('gives no frame at all', async () => {
      const program = await fake({ decode: 'exit 0' });
      await expectError(watch(clip, { ffmpeg: program }), 'VIDEO_UNREADABLE', 'No frame of', 'clip.mp4');
    });

    it('hangs while it probes', async () => {
      const program = await fake({ probe: 'sleep 1000' });
      await expectError(
        watch(clip, { ffmpeg: program, stallSeconds: 1 }),
        'VIDEO_STALLED',
        'clip.mp4',
        'no answer for 1 s',
      );
    });

    it.each([
      ['hangs', 'sleep 1000', 'took no frame for 3 s'],
      [
        'dies',
        `head -c ${2 * bytes} > /dev/null; echo "[error] No space left" >&2; exit 1`,
        'ended with 1: No space left',
      ],
      ['ends too early', `head -c ${2 * bytes} > /dev/null; exit 0`, 'ended with 0'],
      ['cannot begin', 'exit 1', 'ended with 1'],
    ])('%s while it encodes', async (_, encode, words) => {
      const program = await fake({ encode });
      const output = inFolder('unwritten.mp4');
      const failing = watch(clip, { ffmpeg: program, output, stallSeconds: encode.startsWith('sleep') ? 3 : 30 });
      await expectError(failing, 'OUTPUT_NOT_WRITABLE', output, words);
      expect(existsSync(output)).toBe(false);
    });
  },
);
