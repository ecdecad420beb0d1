import { expect, it } from 'vitest';
import { FrameClock } from '../../../lib/video/frame-clock.ts';

const showinfo = '[Parsed_showinfo_1 @ 0x55af86076ec0] [info]';
const base = `${showinfo} config in time_base: 1/30000, frame_rate: 30000/1001`;
const frame = (n: number, pts: number | string) =>
  `${showinfo} n:${String(n).padStart(4)} pts:${String(pts).padStart(7)} pts_time:0.03 pos: 5171 fmt:rgb24 sar:1/1 s:320x240 i:P`;

function clockOf(lines: readonly string[], frameRate = 10): FrameClock {
  const clock = new FrameClock(frameRate);
  for (const line of lines) clock.read(line);
  return clock;
}

it('reads the exact times from the log of showinfo', async () => {
  const clock = clockOf([
    '[info] Stream mapping:',
    base,
    frame(0, 0),
    `${showinfo} color_range:pc`,
    frame(1, 1001),
    frame(2, 30030),
  ]);
  expect([await clock.next(), await clock.next(), await clock.next()]).toEqual([0, 1001 / 30000, 1.001]);
});

it('waits for a line that is not there yet', async () => {
  const clock = clockOf([base]);
  const next = clock.next();
  clock.read(frame(0, 60000));
  expect(await next).toBe(2);
});

it('goes by the frame rate where a frame has no time, and at the end of the log', async () => {
  const clock = clockOf([base, frame(0, 30000), frame(1, 'NOPTS')]);
  expect([await clock.next(), await clock.next()]).toEqual([1, 1.1]);
  const next = clock.next();
  clock.end();
  expect(await next).toBeCloseTo(1.2, 12);
});

it('never goes backwards, nor below 0', async () => {
  const clock = clockOf([base, frame(0, -300), frame(1, 3000), frame(2, 1500)]);
  expect([await clock.next(), await clock.next(), await clock.next()]).toEqual([0, 0.1, 0.1]);
});

it("is not led astray by a video's own words", async () => {
  const clock = clockOf([`[info]     title           : ${frame(0, 999)}`, base, frame(0, 30000)]);
  expect(await clock.next()).toBe(1);
});

it('takes a new clock when the video changes in the middle', async () => {
  const clock = clockOf([base, frame(0, 30000), base.replace('1/30000', '1/1000'), frame(0, 1500)]);
  expect([await clock.next(), await clock.next()]).toEqual([1, 1.5]);
});

it('goes on when a camera begins to count anew', async () => {
  const clock = clockOf([base, frame(0, 0), frame(1, 3_000_000), frame(2, 30_000), frame(3, 60_000)]);
  const times = [await clock.next(), await clock.next(), await clock.next(), await clock.next()];
  expect(times).toEqual([0, 100, 100.1, 101.1].map((time) => expect.closeTo(time, 9)));
});
