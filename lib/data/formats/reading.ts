import { relative } from 'node:path';
import { DetectorError } from '../../base/errors.ts';

/** The path of an image below the data set, without its extension, with `/` on every system. */
export function idOf(imagePath: string, root: string): string {
  return relative(root, imagePath)
    .replaceAll('\\', '/')
    .replace(/\.\w{1,5}$/, '');
}

/** A file that cannot be read as what it should be. */
export function refuse(path: string, format: string, reason: string, cause?: unknown): DetectorError {
  return new DetectorError('ANNOTATION_INVALID', `Cannot read "${path}" as ${format}: ${reason}`, { cause });
}

/** Names from files are shown cut: they may be of any length. */
export function shorten(text: string, length = 80): string {
  return text.length > length ? `${text.slice(0, length)}...` : text;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** A finite number above zero. */
export function isPositive(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY;
}

export function asNumber(value: unknown): number {
  return typeof value === 'number' ? value : Number.NaN;
}

/** A class name as it is compared: without the blanks around it, in Unicode NFC. */
export function className(value: unknown): string {
  return typeof value === 'string' ? value.trim().normalize('NFC') : '';
}
