import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DetectorError, messageOf } from '../base/errors.ts';

/** What a failed write means for the one who asked for it, by the operating system's own code. */
const REMEDIES: Record<string, string> = {
  EACCES: 'Grant write permission or choose another place.',
  EPERM: 'Grant write permission or choose another place.',
  EROFS: 'The file system is read-only: choose another place.',
  ENOSPC: 'The disk is full: free some space or choose another place.',
  EDQUOT: 'The disk quota is used up: free some space or choose another place.',
  EFBIG: 'The file is larger than the file system allows: choose another place.',
  ENOTDIR: 'A part of the path is a file, not a directory: choose another place.',
  EEXIST: 'Something else already has this name: choose another name.',
  EISDIR: 'A directory already has this name: choose another name.',
  ENOTEMPTY: 'A directory already has this name: choose another name.',
  ENOENT: 'The directory does not exist and cannot be made here: choose another place.',
  ENAMETOOLONG: 'The name is too long: choose a shorter one.',
  ELOOP: 'The path has a loop of symbolic links: choose another place.',
  ENOTSUP: 'The file system cannot hold it: choose another place.',
  EIO: 'The disk or its connection failed: look into the log of the system.',
  ENXIO: 'The disk or its connection failed: look into the log of the system.',
  ENODEV: 'The disk or its connection failed: look into the log of the system.',
  ESTALE: 'The network file system lost the file: mount it again.',
  ETIMEDOUT: 'The network file system does not answer: try again later.',
  EBUSY: 'Another program uses it: close that or choose another place.',
  EMFILE: 'The process has too many files open: raise the limit (ulimit -n).',
  ENFILE: 'The system has too many files open: close other programs.',
  ENOMEM: 'The system has no memory left: close other programs.',
};

/** Turns a file-system error met while writing `path` into OUTPUT_NOT_WRITABLE; any other error comes back as it is. */
export function writeFailure(path: string, error: unknown): unknown {
  const remedy = REMEDIES[(error as NodeJS.ErrnoException | undefined)?.code ?? ''];
  if (remedy === undefined || !(error instanceof Error)) return error;
  return new DetectorError('OUTPUT_NOT_WRITABLE', `Cannot write ${path}: ${messageOf(error)}. ${remedy}`, {
    cause: error,
  });
}

/** Whether an error says that something could not be written, as `writeFailure` words it. */
export function isWriteFailure(error: unknown): error is DetectorError {
  return error instanceof DetectorError && error.code === 'OUTPUT_NOT_WRITABLE';
}

/** Runs a file operation on `path` and reports its failure as `writeFailure` words it. */
export async function writing<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw writeFailure(path, error);
  }
}

/** Temporary files that are being written. A process that ends meanwhile takes them away. */
const temporaryFiles = new Set<string>();

function removeTemporaryFiles(): void {
  for (const path of temporaryFiles) rmSync(path, { force: true });
}

/** What a process that was killed left of a file that it wrote. */
export function isTemporaryName(name: string): boolean {
  return /^\.(.+\.)?[0-9a-f]{12}\.tmp$/.test(name);
}

/**
 * Puts a whole new file at `path`: readers see the old content or the new, never a part, even across a power cut.
 * `write` fills the temporary file that it is given, in the same directory; then fsync, rename, fsync of the directory.
 * Whatever fails, the old file stays, the temporary one is removed, and a DetectorError names `path`.
 */
export async function replaceFile(path: string, write: (temporaryPath: string) => Promise<void>): Promise<void> {
  const temporaryPath = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  if (temporaryFiles.size === 0) process.once('exit', removeTemporaryFiles);
  temporaryFiles.add(temporaryPath);
  await writing(path, async () => {
    try {
      await write(temporaryPath);
      await syncFile(temporaryPath);
      await rename(temporaryPath, path);
    } catch (error) {
      await rm(temporaryPath, { force: true }).catch(() => {}); // the first error is the one to report
      throw naming(path, temporaryPath, error);
    } finally {
      temporaryFiles.delete(temporaryPath);
      if (temporaryFiles.size === 0) process.removeListener('exit', removeTemporaryFiles);
    }
    await syncDirectory(dirname(path));
  });
}

/** The error for the one who asked for `path` and never saw the temporary name. */
function naming(path: string, temporaryPath: string, error: unknown): unknown {
  if (!(error instanceof DetectorError) || !error.message.includes(temporaryPath)) return error;
  return new DetectorError(
    error.code,
    error.message.replaceAll(temporaryPath, () => path),
    { cause: error },
  );
}

/** `replaceFile` for content that is at hand. */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  await replaceFile(path, (temporaryPath) => writeFile(temporaryPath, data));
}

/** Makes the directory with its parents and proves by a file that it can be written; OUTPUT_NOT_WRITABLE otherwise. */
export async function ensureWritableDirectory(path: string): Promise<void> {
  await writing(path, async () => {
    await makeDirectory(path);
    // Permission bits do not tell (root, network and read-only mounts): only a write does.
    const probe = join(path, `.${randomBytes(6).toString('hex')}.tmp`);
    await (await open(probe, 'wx')).close();
    await rm(probe);
  });
}

/**
 * Makes a directory and its parents, as far as they are missing.
 * Not `mkdir(path, { recursive: true })`: where the system says ENOENT for a child of an existing directory (/proc), Node 20
 * tries again for ever.
 */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const parent = dirname(path);
    if (code === 'ENOENT' && parent !== path && !(await isDirectory(parent))) {
      await makeDirectory(parent);
      await makeDirectory(path);
    } else if (!(await isDirectory(path))) throw error;
  }
}

export async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Waits until the content of a file is on the disk. */
export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Waits until the names in a directory are on the disk. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return; // Windows cannot open a directory for fsync; NTFS journals renames
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
