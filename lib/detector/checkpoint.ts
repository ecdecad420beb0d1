import { copyFile, link, readdir, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DetectorError, messageOf } from '../base/errors.ts';
import { makeDirectory, syncDirectory, syncFile, writeFileAtomic, writing } from '../files/atomic-file.ts';
import { digestFile } from '../files/digest-file.ts';
import { withLock } from '../files/lock.ts';
import { readFailure } from '../files/read-failure.ts';
import {
  type CheckpointContent,
  type CheckpointManifest,
  corrupt,
  type FoundManifest,
  findManifest,
  isFileName,
  MANIFEST,
  makeManifest,
  NEXT,
  NEXT_MANIFEST,
  readManifest,
} from './manifest.ts';

/** What an interrupted first save may have left, each with `.next`. */
const USUAL_FILES = ['model.safetensors', 'optimizer.safetensors', 'backbone.torchscript'];
/** There while a process saves. */
const LOCK = '.checkpoint.lock';
/** How often a reader looks again where another process saves meanwhile, and where a save may be coming to its end. */
const MAX_LOOKS = 50;
const MAX_LOOKS_AT_END = 15;

export interface Checkpoint {
  manifest: CheckpointManifest;
  /** The path of one of its files; throws CHECKPOINT_CORRUPT when the checkpoint has no such file. */
  path(name: string): string;
}

/**
 * Writes a checkpoint into the directory `dir`, made if it is missing, over the checkpoint that may be there.
 * At every moment, a power cut included, `openCheckpoint` finds the old one whole or the new one whole:
 *
 * 1. each file is written and fsynced beside the old one, as `<name>.next`;
 * 2. `checkpoint.next.json`, which holds the new manifest, is put in place by one rename: this commits;
 * 3. the files are renamed over the old ones, then the manifest. A reader that comes in between reads
 *    `checkpoint.next.json` and takes each file from `<name>.next` or, once renamed, from `<name>`.
 *
 * A crash before 2 leaves the old checkpoint as it was; a crash in 3 is finished by the next save.
 * Files that are not part of a checkpoint are never touched. Saves into one directory wait for each other, also those of other processes.
 *
 * @param files for each file name a function that writes the file at the path that it is given
 * @throws DetectorError OUTPUT_NOT_WRITABLE, also for a directory that holds something else than a checkpoint
 */
export async function saveCheckpoint(
  dir: string,
  content: CheckpointContent,
  files: Record<string, (temporaryPath: string) => Promise<void>>,
): Promise<void> {
  for (const name of Object.keys(files)) {
    if (!isFileName(name))
      throw new TypeError(`Expected a plain file name in a checkpoint but received ${JSON.stringify(name)}`);
  }
  await inTurn(dir, async () => {
    await prepareDirectory(dir, Object.keys(files));
    const entries: CheckpointManifest['files'] = {};
    await orClear(dir, Object.keys(files), async () => {
      for (const [name, write] of Object.entries(files)) {
        const path = join(dir, name + NEXT);
        await write(path);
        await syncFile(path);
        entries[name] = await digestFile(path);
      }
    });
    await commit(dir, makeManifest(content, entries));
  });
}

/**
 * Puts the checkpoint of one directory into another, over what is there, as `saveCheckpoint` does. Files are links where the file system
 * can: a save gives a file another place and never changes it. Without a checkpoint in `from` nothing is done.
 */
export async function copyCheckpoint(from: string, to: string): Promise<void> {
  const found = await findManifest(from);
  if (!found) return;
  await inTurn(to, async () => {
    if (found.text === (await findManifest(to).catch(() => undefined))?.text) return;
    const names = Object.keys(found.manifest.files);
    await prepareDirectory(to, names);
    await orClear(to, names, async () => {
      for (const name of names) await linkFile(await placeOf(from, name, found), join(to, name + NEXT));
    });
    await commit(to, found);
  });
}

async function linkFile(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch {
    await copyFile(from, to);
    await syncFile(to);
  }
}

/**
 * Opens a checkpoint and checks every file of it: existence, size, SHA-256. Writes nothing. Where another process saves meanwhile, it
 * opens the checkpoint that this one leaves.
 * @throws DetectorError CHECKPOINT_NOT_FOUND, CHECKPOINT_CORRUPT naming the file, CHECKPOINT_MISMATCH for a newer format, IO_ERROR
 */
export async function openCheckpoint(dir: string): Promise<Checkpoint> {
  return await readCheckpoint(dir, async (checkpoint) => checkpoint);
}

/**
 * Opens a checkpoint for `use`, which reads files of it. Where another process saves meanwhile, what `use` gave is discarded, and the
 * checkpoint that is there now is opened for it. Throws as `openCheckpoint`, and what `use` throws.
 */
export async function readCheckpoint<T>(
  dir: string,
  use: (checkpoint: Checkpoint) => Promise<T>,
  discard: (result: T) => void = () => {},
): Promise<T> {
  for (let look = 1; ; look++) {
    const found = await findManifest(dir);
    if (found === undefined) throw notFound(dir);
    const outcome = await openFiles(dir, found)
      .then(use)
      .then(
        (result) => ({ result }),
        (error: unknown) => ({ error }),
      );
    const isSame = look === MAX_LOOKS || !(await hasChanged(dir, found));
    if ('error' in outcome) {
      // Files get their own names while the manifest still has the other one.
      if (isSame && !(found.isNext && look < MAX_LOOKS_AT_END)) throw outcome.error;
    } else {
      if (isSame) return outcome.result;
      discard(outcome.result);
    }
    await sleep(look);
  }
}

/** Saves into one directory, one after the other: those of this process in their order. */
const saves = new Map<string, Promise<void>>();

async function inTurn(dir: string, save: () => Promise<void>): Promise<void> {
  const place = resolve(dir);
  const saving = (saves.get(place) ?? Promise.resolve()).then(() =>
    writing(dir, async () => {
      await makeDirectory(dir);
      await withLock(join(dir, LOCK), {}, save);
    }),
  );
  const settled = saving.catch(() => {});
  saves.set(place, settled);
  try {
    await saving;
  } finally {
    if (saves.get(place) === settled) saves.delete(place);
  }
}

/** Takes away what is half written: room for the next try. The first error is the one to report. */
async function orClear(dir: string, names: readonly string[], write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    for (const name of names) await rm(join(dir, name + NEXT), { force: true }).catch(() => {});
    throw error;
  }
}

async function commit(dir: string, { manifest, text }: { manifest: CheckpointManifest; text: string }): Promise<void> {
  await syncDirectory(dir);
  await writeFileAtomic(join(dir, NEXT_MANIFEST), text);
  await rollForward(dir, manifest);
}

async function openFiles(dir: string, found: FoundManifest): Promise<Checkpoint> {
  const { manifest } = found;
  const paths = new Map<string, string>();
  for (const [name, expected] of Object.entries(manifest.files)) {
    const path = await placeOf(dir, name, found);
    await verify(path, expected);
    paths.set(name, path);
  }
  const path = (name: string) => {
    const found = paths.get(name);
    if (found === undefined)
      throw corrupt(join(dir, name), `is not part of this checkpoint, which has ${[...paths.keys()].join(', ')}`);
    return found;
  };
  return { manifest, path };
}

/** Where a file of a checkpoint is: its save may not have come to an end. */
async function placeOf(dir: string, name: string, { isNext }: FoundManifest): Promise<string> {
  return isNext && (await exists(join(dir, name + NEXT))) ? join(dir, name + NEXT) : join(dir, name);
}

/** Whether something was saved since a manifest was read. */
async function hasChanged(dir: string, { text, isNext }: FoundManifest): Promise<boolean> {
  const now = await findManifest(dir).catch(() => undefined);
  return now !== undefined && (now.text !== text || now.isNext !== isNext);
}

/** Finishes an interrupted save, clears what a broken one left, and makes sure that nothing of the user's is in the way. */
async function prepareDirectory(dir: string, names: readonly string[]): Promise<void> {
  const next = (await readManifest(dir, NEXT_MANIFEST).catch(asForeign(dir)))?.manifest;
  if (next) await rollForward(dir, next);
  const old = next ?? (await readManifest(dir, MANIFEST).catch(asForeign(dir)))?.manifest;
  const nextNames = new Set([...names, ...USUAL_FILES].map((name) => name + NEXT));
  const isLeftover = (entry: string) => nextNames.has(entry) || /^\.checkpoint\.next\.json\.\w+\.tmp$/.test(entry);
  const isForeign = (entry: string) =>
    old ? names.includes(entry) && !Object.hasOwn(old.files, entry) : !isLeftover(entry) && !entry.startsWith(LOCK);
  const entries = await readdir(dir);
  const foreign = entries.find(isForeign);
  if (foreign !== undefined) {
    throw new DetectorError(
      'OUTPUT_NOT_WRITABLE',
      `Cannot save a checkpoint in ${dir}: ${foreign} is there and is not part of a checkpoint. Choose an empty or new directory.`,
    );
  }
  for (const entry of entries.filter(isLeftover)) await rm(join(dir, entry));
}

/** Gives the files of a committed manifest their own names, drops those of the old one, then the manifest; can be done twice. */
async function rollForward(dir: string, manifest: CheckpointManifest): Promise<void> {
  const old = (await readManifest(dir, MANIFEST))?.manifest;
  for (const name of Object.keys(manifest.files)) {
    if (await exists(join(dir, name + NEXT))) await rename(join(dir, name + NEXT), join(dir, name));
  }
  for (const name of Object.keys(old?.files ?? {})) {
    if (!Object.hasOwn(manifest.files, name)) await rm(join(dir, name), { force: true });
  }
  await syncDirectory(dir);
  await rename(join(dir, NEXT_MANIFEST), join(dir, MANIFEST));
  await syncDirectory(dir);
}

async function verify(path: string, expected: { sha256: string; bytes: number }): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw readFailure(path, error) ?? corrupt(path, 'is missing');
  });
  if (!found.isFile()) throw corrupt(path, 'is not a regular file');
  if (found.size !== expected.bytes)
    throw corrupt(path, `has ${found.size} bytes, its checkpoint says ${expected.bytes}`);
  const { sha256 } = await digestFile(path).catch((error: unknown) => {
    throw readFailure(path, error) ?? corrupt(path, `cannot be read: ${messageOf(error)}`);
  });
  if (sha256 !== expected.sha256)
    throw corrupt(
      path,
      `has the SHA-256 ${sha256}, its checkpoint says ${expected.sha256}: a damaged or exchanged file`,
    );
}

function notFound(dir: string): DetectorError {
  return new DetectorError(
    'CHECKPOINT_NOT_FOUND',
    `No checkpoint in ${dir}: expected a directory with ${MANIFEST}, model.safetensors and, to resume, optimizer.safetensors. ` +
      'Give the "best" or "last" directory of a run.',
  );
}

function asForeign(dir: string) {
  return (error: unknown): never => {
    throw new DetectorError(
      'OUTPUT_NOT_WRITABLE',
      `Cannot save a checkpoint over what is in ${dir}: ${messageOf(error)} Choose another directory or move it away.`,
      { cause: error },
    );
  };
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
