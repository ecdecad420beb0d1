import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { expect, onTestFinished } from 'vitest';
import type { DetectorErrorCode } from '../../lib/base/errors.ts';

export { vocObject, vocXml } from './voc-xml.ts';

/** A new folder, removed when the running test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Expects a `DetectorError` of that code whose message has all these words. */
export async function expectError(
  result: Promise<unknown>,
  code: DetectorErrorCode,
  ...words: string[]
): Promise<void> {
  const error = await result.then(
    () => expect.fail(`expected the error ${code}, but nothing was thrown`),
    (reason) => reason,
  );
  expect(error).toMatchObject({ name: 'DetectorError', code });
  for (const word of words) expect(error.message).toContain(word);
}

/** Writes files, by path below a folder; folders are made as needed. */
export async function writeFiles(folder: string, files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

/** An image of one colour; by default orange. */
export function solid(width: number, height: number, background = { r: 255, g: 128, b: 32 }): Sharp {
  return sharp({ create: { width, height, channels: 3, background } });
}

/** An image that compresses badly, so that there is much to cut off. */
export function noise(width: number, height: number): Sharp {
  return sharp({
    create: { width, height, channels: 3, background: 'grey', noise: { type: 'gaussian', mean: 128, sigma: 50 } },
  });
}

/** The beginning of a PNG file that claims any size: 8-bit RGB, and hardly any data. */
export async function pngOfSize(width: number, height: number): Promise<Buffer> {
  const png = await solid(1, 1).png().toBuffer();
  png.writeUInt32BE(width, 16);
  png.writeUInt32BE(height, 20);
  png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
  return png;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
