import { readBoundedFile } from './bounded-file.ts';

/** How a file begins that says which encoding it has (byte order marks; UTF-16 without one begins with "<" or "{"). */
const MARKS: readonly [encoding: string, bytes: readonly number[]][] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
  ['utf-16le', [0x3c, 0x00]],
  ['utf-16be', [0x00, 0x3c]],
];

/**
 * The text of a file of at most `maxBytes`, in the encoding that its byte order mark or its XML declaration names, else in UTF-8.
 * Throws a plain `Error` that says what is wrong with the file, without naming it.
 */
export async function readTextFile(path: string, maxBytes: number, remedy?: string): Promise<string> {
  return decodeText(await readBoundedFile(path, maxBytes, remedy));
}

/** Bytes as text; the same rules as `readTextFile`. */
export function decodeText(bytes: Uint8Array): string {
  const encoding = markedEncoding(bytes) ?? declaredEncoding(bytes) ?? 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof RangeError) throw new Error(`it declares the encoding "${encoding}", which is not known`);
    throw new Error(
      `it is not ${encoding.toUpperCase()}: the encoded data was not valid. Save it as UTF-8, or declare its encoding`,
      { cause: error },
    );
  }
}

/** Undefined without a byte order mark. */
export function markedEncoding(bytes: Uint8Array): string | undefined {
  return MARKS.find(([, mark]) => mark.every((byte, i) => bytes[i] === byte))?.[0];
}

/** `<?xml version="1.0" encoding="GBK"?>`: readable in every encoding that keeps ASCII. */
function declaredEncoding(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.subarray(0, 200)).toString('latin1');
  return /^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]{1,40})["']/.exec(start)?.[1]?.toLowerCase();
}
