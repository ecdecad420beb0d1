import { describe, expect, it } from 'vitest';
import { describeVideo } from '../../../lib/video/probe.ts';

const file = { name: 'a.mp4', path: '/a.mp4', args: [], isLive: false };
const url = { name: 'http://a', args: [], isLive: false };
const video = {
  codec_type: 'video',
  codec_name: 'h264',
  width: 320,
  height: 240,
  avg_frame_rate: '30000/1001',
  r_frame_rate: '60/1',
  time_base: '1/30000',
  nb_frames: '90',
  duration: '3.003',
  sample_aspect_ratio: '4:3',
  color_space: 'bt709',
  color_transfer: 'unknown',
};
const audio = { codec_type: 'audio', codec_name: 'aac' };
const describeOne = (changes: object, source = file) => describeVideo({ streams: [{ ...video, ...changes }] }, source);

describe('describeVideo', () => {
  it('reads what ffprobe says', () => {
    expect(describeVideo({ streams: [audio, video], format: { duration: '9' } }, file)).toEqual({
      streamIndex: 0,
      width: 320,
      height: 240,
      frameRate: 30000 / 1001,
      frames: 90,
      seconds: 3.003,
      audio: 'aac',
      isLive: false,
      timeBase: '1/30000',
      pixelAspect: '4/3',
      colour: { space: 'bt709', primaries: undefined, transfer: undefined },
    });
  });

  it.each([
    [-90, 240, '3/4'],
    [90, 240, '3/4'],
    [270, 240, '3/4'],
    [180, 320, '4/3'],
    [0, 320, '4/3'],
  ])('rotated by %d degrees it is %d wide', (rotation, width, pixelAspect) => {
    const side = { side_data_list: [{}, { rotation }] };
    expect(describeOne(side)).toMatchObject({ width, height: 560 - width, pixelAspect });
    expect(describeOne({ tags: { rotate: String(rotation) } })).toMatchObject({ width, height: 560 - width });
  });

  it('passes over the image of an album', () => {
    const cover = { ...video, width: 500, height: 500, disposition: { attached_pic: 1 } };
    expect(describeVideo({ streams: [cover, video] }, file)).toMatchObject({ streamIndex: 1, width: 320 });
    expect(() => describeVideo({ streams: [cover] }, file)).toThrow('it has no video');
  });

  it('guesses what is not said', () => {
    const none = { nb_frames: undefined, avg_frame_rate: '0/0', sample_aspect_ratio: '0:1', time_base: '0/0' };
    expect(describeOne(none)).toMatchObject({ frameRate: 60, frames: 180, pixelAspect: '1/1', timeBase: '1/90000' });
    const nothing = { ...none, r_frame_rate: '0/0', duration: 'N/A' };
    expect(describeOne(nothing)).toMatchObject({ frameRate: 25, frames: undefined, seconds: undefined });
  });

  it('takes a URL without an end for live, and a file never', () => {
    const endless = { duration: undefined, nb_frames: undefined };
    expect(describeOne(endless, url as typeof file).isLive).toBe(true);
    expect(describeOne({}, url as typeof file).isLive).toBe(false);
    expect(describeOne(endless).isLive).toBe(false);
    expect(describeOne({}, { ...file, isLive: true })).toMatchObject({ frames: undefined, seconds: undefined });
  });

  it('refuses what has no frames, or too large ones', () => {
    expect(() => describeVideo({ streams: [audio] }, file)).toThrow(
      'a.mp4 as a video: it has no video, only audio aac',
    );
    expect(() => describeVideo({}, file)).toThrow('nothing that can be read');
    expect(() => describeOne({ width: 0 })).toThrow('no size');
    expect(() => describeOne({ width: 16384, height: 16384 })).toThrow('16384 x 16384 are more than 50 megapixels');
  });
});
