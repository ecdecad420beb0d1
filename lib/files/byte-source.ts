import type { FileHandle } from 'node:fs/promises';

/** Bytes that are read piece by piece: a file need not be in memory. */
export interface ByteSource {
  readonly size: number;
  /** `length` bytes from `offset`, in `target` where that is given and a copy is needed. @throws RangeError beyond the end */
  read(offset: number, length: number, target?: Buffer): Promise<Buffer>;
}

export function bufferSource(bytes: Buffer): ByteSource {
  return {
    size: bytes.length,
    read: async (offset, length) => {
      if (offset + length > bytes.length) throw new RangeError('Read beyond the end');
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** Small reads are served from a window: the headers of many small entries lie close together. */
const WINDOW_BYTES = 4096;

export function fileSource(handle: FileHandle, size: number): ByteSource {
  let windowOffset = 0;
  let window: Buffer = Buffer.alloc(0);
  const readFully = async (offset: number, buffer: Buffer): Promise<Buffer> => {
    for (let done = 0; done < buffer.length; ) {
      const { bytesRead } = await handle.read(buffer, done, buffer.length - done, offset + done);
      if (bytesRead === 0) throw new RangeError('Read beyond the end');
      done += bytesRead;
    }
    return buffer;
  };
  return {
    size,
    read: async (offset, length, target) => {
      // Sizes come from the file itself: room is made only for what it has.
      if (offset + length > size) throw new RangeError('Read beyond the end');
      if (length > WINDOW_BYTES / 4 || target)
        return await readFully(offset, (target ?? Buffer.allocUnsafe(length)).subarray(0, length));
      if (offset < windowOffset || offset + length > windowOffset + window.length) {
        window = await readFully(offset, Buffer.allocUnsafe(Math.min(WINDOW_BYTES, size - offset)));
        windowOffset = offset;
      }
      return window.subarray(offset - windowOffset, offset - windowOffset + length);
    },
  };
}
