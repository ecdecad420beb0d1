import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Detector } from '../../lib/detector/detector.ts';
import { cli, node } from '../support/cli.ts';
import { squareClasses } from '../support/squares.ts';
import { childProcesses, hasFfmpeg, needsFfmpeg, probeFile, writeClip } from '../support/video.ts';

let folder: string;
let checkpoint: string;
let clip: string;

const inFolder = (name: string) => join(folder, name);
const video = (...args: string[]) => cli(['video', '--checkpoint', checkpoint, '--input', clip, ...args]);
const events = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  checkpoint = inFolder('checkpoint');
  const imageSize = { width: 64, height: 64 };
  await using detector = await Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize });
  await detector.save(checkpoint);
  if (hasFfmpeg) clip = await writeClip(inFolder('clip.mp4'), { frames: 25 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(!hasFfmpeg)(`video${needsFfmpeg}`, () => {
  it('writes the video, and says how far and how fast it is', async () => {
    const output = inFolder('out.mp4');
    const { code, out, error } = await video('--output', output, '--threshold', '0', '--track', '--smooth');
    expect(code, error).toBe(0);
    expect(out).toMatch(
      /^64x64, 10 frames a second, 2\.5 s\n25 frames in 0:\d\d\nAverage FPS of the model: [\d.]+\nAverage FPS of everything: [\d.]+\nOutput: .*out\.mp4\n$/,
    );
    expect(error).toMatch(/Video: 40% 10\/25 frame \d+\.\d FPS, ETA 0:\d\d\n/);
    expect((await probeFile(output)).times).toHaveLength(25);

    const again = await video('--output', output);
    expect(again).toMatchObject({ code: 2, out: '', error: expect.stringContaining('out.mp4 already exists') });
    const itself = await video('--output', clip, '--force');
    expect(itself).toMatchObject({ code: 2, error: expect.stringContaining('clip.mp4 is the input') });
  });

  it('prints nothing but JSON when asked for it', async () => {
    const { code, out, error } = await video(
      '--json',
      '--threshold',
      '0',
      '--max-detections',
      '2',
      '--track',
      '--batch',
      '8',
    );
    expect(code, error).toBe(0);
    const found = events(out);
    expect(found).toHaveLength(26);
    expect(found.map(({ event }) => event)).toEqual([...Array(25).fill('frame'), 'result']);
    expect(found[7]).toMatchObject({ frame: 7, timestamp: 0.7 });
    const box = {
      xmin: expect.any(Number),
      ymin: expect.any(Number),
      xmax: expect.any(Number),
      ymax: expect.any(Number),
    };
    const detection = { id: expect.any(Number), label: expect.any(String), score: expect.any(Number), box };
    expect(found[7].detections).toEqual([detection, detection]);
    expect(found[25]).toMatchObject({ frames: 25, dropped: 0, fps: expect.any(Number), modelFps: expect.any(Number) });
    expect(error).toBe('');
  });

  it('at Ctrl-C finishes the output, and says what it has', async () => {
    const output = inFolder('interrupted.mp4');
    let processes: number[] = [];
    const args = ['--input', 'testsrc=size=64x64', '--format', 'lavfi', '--output', output, '--json'];
    const { code, out, error } = await cli(['video', '--checkpoint', checkpoint, ...args], {
      onStart: (child) => {
        const onData = async (text: Buffer) => {
          if (!String(text).includes('"event":"frame"')) return;
          child.stdout!.off('data', onData);
          if (process.platform === 'linux') processes = await childProcesses(child.pid);
          child.kill('SIGINT');
        };
        child.stdout!.on('data', onData);
      },
    });
    expect(code, error).toBe(130);
    const frames = events(out).filter(({ event }) => event === 'frame');
    expect(error).toContain(`\nFinishing the output file (Ctrl-C again: stop at once)\n`);
    expect(error).toContain(`Interrupted: ${output} has the first ${frames.length} frames (`);
    expect((await probeFile(output)).times).toHaveLength(frames.length);
    // A decoder and an encoder, and nothing that is left of them.
    if (process.platform === 'linux') expect(processes.length).toBeGreaterThanOrEqual(2);
    for (const pid of processes) expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('examples/video.ts does what it says', async () => {
    const output = inFolder('example.mp4');
    const { code, out, error } = await node(['examples/video.ts', checkpoint, clip, output]);
    expect(code, error).toBe(0);
    expect(out).toMatch(/^0\.00 s: .*\n/);
    expect(out).toContain(`25 frames at `);
    expect((await probeFile(output)).times).toHaveLength(25);
  });
});

describe('video that cannot be', () => {
  it('is told of in one line', async () => {
    await writeFile(inFolder('a.mp4'), 'not a video');
    const missing = await cli([
      'video',
      '--checkpoint',
      checkpoint,
      '--input',
      inFolder('a.mp4'),
      '--ffmpeg',
      '/no/such/ffmpeg',
    ]);
    expect(missing).toMatchObject({ code: 1, out: '' });
    expect(missing.error).toMatch(
      /^Error: Video needs ffmpeg and ffprobe, but \/no\/such\/ff\w+ does not run: it was not found\. Install/,
    );
  });
});
