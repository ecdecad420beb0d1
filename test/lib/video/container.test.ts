import { expect, it } from 'vitest';
import { containerOf, videoEncoderArgs } from '../../../lib/video/container.ts';

const encoder = (path: string, available: readonly string[], timeBase = '1/90000') =>
  videoEncoderArgs(containerOf(path), new Set(available), timeBase).join(' ');

it('goes by the ending of the name', () => {
  expect(containerOf('a.b/C.MP4').format).toBe('mp4');
  expect(containerOf('a.webm')).toMatchObject({ format: 'webm', audioEncoder: 'libopus' });
  for (const name of ['a.xyz', 'mp4', 'a.mp4/b', '.mp4']) expect(() => containerOf(name)).toThrow(RangeError);
});

it('takes the best encoder that there is, with the clock of the source', () => {
  expect(encoder('a.mp4', ['mpeg4', 'libx264'])).toBe('-c:v libx264 -preset veryfast -crf 20 -enc_time_base 1:90000');
  expect(encoder('a.webm', ['libvpx', 'libvpx-vp9'])).toContain('-c:v libvpx-vp9 ');
  expect(() => encoder('a.webm', ['libx264'])).toThrow('cannot write webm: it was built without libvpx-vp9, libvpx');
});

it('gives MPEG-4 part 2 a clock that it can hold', () => {
  expect(encoder('a.mp4', ['mpeg4'])).toContain('-enc_time_base 1:65535');
  expect(encoder('a.mp4', ['mpeg4'], '1/30000')).toContain('-enc_time_base 1:30000');
});
