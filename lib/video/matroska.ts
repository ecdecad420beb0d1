/**
 * Raw RGB frames with their times as a Matroska stream, the simplest way to pipe frame times to ffmpeg. The elements follow RFC 9559
 * (Matroska) and RFC 8794 (EBML). The colour space `RGB` 24 tells ffmpeg the pixel format of `V_UNCOMPRESSED`.
 */

export interface RawVideoFormat {
  width: number;
  height: number;
  /** The duration of a frame in seconds. ffmpeg uses it for the last frame. */
  frameSeconds: number;
}

/** The tick of the stream's clock: one microsecond, in nanoseconds. */
const TICK = 1000;
const UNKNOWN_SIZE = Buffer.from('01ffffffffffffff', 'hex');

/** The bytes before the first frame. */
export function matroskaHeader({ width, height, frameSeconds }: RawVideoFormat): Buffer {
  const video = element('e0', [
    element('b0', unsigned(width)),
    element('ba', unsigned(height)),
    element('2eb524', Buffer.from('RGB\x18')),
  ]);
  const track = element('ae', [
    element('d7', unsigned(1)), // number
    element('73c5', unsigned(1)), // UID
    element('83', unsigned(1)), // video
    element('86', Buffer.from('V_UNCOMPRESSED')),
    element('23e383', unsigned(Math.round(1e9 * frameSeconds))),
    video,
  ]);
  const info = [
    element('2ad7b1', unsigned(TICK)),
    ...['4d80', '5741'].map((id) => element(id, Buffer.from('dinov3-det'))),
  ];
  return Buffer.concat([
    element('1a45dfa3', [
      element('4282', Buffer.from('matroska')),
      element('4287', unsigned(4)),
      element('4285', unsigned(2)),
    ]),
    Buffer.from('18538067', 'hex'),
    UNKNOWN_SIZE,
    element('1549a966', info),
    element('1654ae6b', track),
  ]);
}

/** The bytes before a frame of `bytes` bytes that is shown at `seconds` (>= 0). It is a cluster with one block. */
export function frameHeader(seconds: number, bytes: number): Buffer {
  const block = Buffer.from('81000080', 'hex'); // track 1, at the cluster's time, a key frame
  const time = element('e7', unsigned(Math.round(1e6 * seconds)));
  const blockHead = Buffer.concat([Buffer.from('a3', 'hex'), size(block.length + bytes), block]);
  return Buffer.concat([Buffer.from('1f43b675', 'hex'), size(time.length + blockHead.length + bytes), time, blockHead]);
}

function element(id: string, content: Buffer | readonly Buffer[]): Buffer {
  const body = Buffer.isBuffer(content) ? content : Buffer.concat(content);
  return Buffer.concat([Buffer.from(id, 'hex'), size(body.length), body]);
}

/** A size in eight bytes. The first byte says so. */
function size(bytes: number): Buffer {
  const written = Buffer.alloc(8);
  written.writeBigUInt64BE(BigInt(bytes) | (1n << 56n));
  return written;
}

function unsigned(value: number): Buffer {
  const written = Buffer.alloc(8);
  written.writeBigUInt64BE(BigInt(value));
  return written;
}
