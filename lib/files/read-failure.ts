import { setTimeout as sleep } from 'node:timers/promises';
import { DetectorError, messageOf } from '../base/errors.ts';

/** Of the system, not of a file: the same file can be read later. */
const TRANSIENT: Record<string, string> = {
  EMFILE: 'The process has too many files open: raise the limit (ulimit -n)',
  ENFILE: 'The system has too many files open: close other programs',
  ENOMEM: 'The system has no memory left: close other programs',
  ENOBUFS: 'The system has no memory left: close other programs',
  EAGAIN: 'Try again',
  EBUSY: 'Another program uses it: close that',
  EIO: 'The disk or its connection failed: look into the log of the system',
  ENXIO: 'The disk or its connection failed: look into the log of the system',
  ENODEV: 'The disk or its connection failed: look into the log of the system',
  ESTALE: 'The network file system lost the file: mount it again',
  ETIMEDOUT: 'The network file system does not answer: try again later',
  EHOSTDOWN: 'The network file system does not answer: try again later',
  ENOTCONN: 'The network file system does not answer: mount it again',
};

/** What a file that is there cannot be read for; with these it says nothing about the file. */
const REMEDIES: Record<string, string> = {
  ...TRANSIENT,
  EACCES: 'Grant permission to read it',
  EPERM: 'Grant permission to read it',
};

/** Whether an error, or what it was caused by, is one of the system that may be gone at the next try. */
export function isTransient(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (Object.hasOwn(TRANSIENT, String((each as NodeJS.ErrnoException).code))) return true;
  }
  return false;
}

/** Waits before another try, in milliseconds. */
const PAUSES = [50, 200, 1000];

/** Reads once more, a few times, where the system could not read for a moment. */
export async function retryTransient<T>(read: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (const pause of PAUSES) {
    try {
      return await read();
    } catch (error) {
      if (!isTransient(error)) throw error;
      await sleep(pause, undefined, signal ? { signal } : {});
    }
  }
  return await read();
}

/** `IO_ERROR` for an error of the system that was met while reading `path`; undefined for one that is about the file. */
export function readFailure(path: string, error: unknown): DetectorError | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    const remedy = REMEDIES[String((each as NodeJS.ErrnoException).code)];
    if (remedy === undefined) continue;
    return new DetectorError('IO_ERROR', `Cannot read ${path} now: ${messageOf(each)}. ${remedy}, and try again.`, {
      cause: error,
    });
  }
  return undefined;
}
