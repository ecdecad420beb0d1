import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { frameHeader, matroskaHeader } from '../../../lib/video/matroska.ts';
import { hasFfmpeg, needsFfmpeg, probeFile } from '../../support/video.ts';
import { temporaryFolder } from '../../support/voc.ts';

describe('a frame', () => {
  it('is a cluster with its time in microseconds and one block', () => {
    expect(frameHeader(1.5, 12).toString('hex')).toBe(
      [
        '1f43b675' + '010000000000002a', // cluster of 42 bytes: 17 of the time, 9 + 4 + 12 of the block
        'e7' + '0100000000000008' + '000000000016e360', // 1,500,000
        'a3' + '0100000000000010' + '81000080', // 16 bytes
      ].join(''),
    );
  });

  it('may be larger than 4 GB', () => {
    const [cluster, block] = [frameHeader(0, 5e9), frameHeader(0, 0)];
    expect(cluster.length).toBe(block.length);
    expect(cluster.readBigUInt64BE(4) - block.readBigUInt64BE(4)).toBe(5_000_000_000n);
  });
});

it.skipIf(!hasFfmpeg)(`is read by ffmpeg as it was written${needsFfmpeg}`, async () => {
  const path = join(await temporaryFolder(), 'raw.mkv');
  const times = [0, 0.04, 0.040001, 3600.5];
  const parts = times.flatMap((seconds) => [frameHeader(seconds, 3 * 5 * 3), Buffer.alloc(3 * 5 * 3, 7)]);
  await writeFile(path, Buffer.concat([matroskaHeader({ width: 5, height: 3, frameSeconds: 0.04 }), ...parts]));
  const found = await probeFile(path);
  expect(found.streams).toMatchObject([
    { codec_name: 'rawvideo', pix_fmt: 'rgb24', width: 5, height: 3, r_frame_rate: '25/1' },
  ]);
  expect(found.times).toEqual(times);
});
