import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkKeys } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { makeDirectory, syncDirectory, syncFile, writeFileAtomic, writing } from '../files/atomic-file.ts';
import { digestFile } from '../files/digest-file.ts';
import { type ComputeOptions, checkComputeOptions, computeKeys } from './compute-options.ts';

const CHECKPOINT_FORMAT = 'dinov3-det-checkpoint';
const VERSION = 1;

const MANIFEST = 'checkpoint.json';
/** A manifest that was committed while its files still had their `.next` names. */
const NEXT_MANIFEST = 'checkpoint.next.json';
const NEXT = '.next';
/** What an interrupted first save may have left, each with `.next`. */
const USUAL_FILES = ['model.safetensors', 'optimizer.safetensors', 'backbone.torchscript'];
const MAX_MANIFEST_BYTES = 16 << 20;

/** `checkpoint.json`: what the checkpoint is and what its files must be. */
export interface CheckpointManifest {
  format: typeof CHECKPOINT_FORMAT;
  version: typeof VERSION;
  /** Name and version of the program that wrote it. */
  createdBy: string;
  /** Class names in the order of the model's outputs. */
  classes: string[];
  /** The resolved model configuration; checked by the one who builds the model from it. */
  model: Record<string, unknown>;
  /**
   * There when a training run wrote it: the epochs that were complete, and how the run computed (not in checkpoints of earlier versions). The
   * rest of it is the trainer's own, which checks it.
   */
  training?: { epoch: number; compute?: ComputeOptions; options?: object };
  files: Record<string, { sha256: string; bytes: number }>;
}

export type CheckpointContent = Pick<CheckpointManifest, 'createdBy' | 'classes' | 'model' | 'training'>;

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
 * Files that are not part of a checkpoint are never touched. One process at a time may save into a directory.
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
  await writing(dir, async () => {
    await makeDirectory(dir);
    await prepareDirectory(dir, Object.keys(files));
    const manifest: CheckpointManifest = { format: CHECKPOINT_FORMAT, version: VERSION, ...content, files: {} };
    try {
      for (const [name, write] of Object.entries(files)) {
        const path = join(dir, name + NEXT);
        await write(path);
        await syncFile(path);
        manifest.files[name] = await digestFile(path);
      }
    } catch (error) {
      // Room for the next try; the first error is the one to report.
      for (const name of Object.keys(files)) await rm(join(dir, name + NEXT), { force: true }).catch(() => {});
      throw error;
    }
    await syncDirectory(dir);
    await writeFileAtomic(join(dir, NEXT_MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
    await rollForward(dir, manifest);
  });
}

/**
 * Opens a checkpoint and checks every file of it: existence, size, SHA-256. Writes nothing.
 * @throws DetectorError CHECKPOINT_NOT_FOUND, CHECKPOINT_CORRUPT naming the file, CHECKPOINT_MISMATCH for a newer format
 */
export async function openCheckpoint(dir: string): Promise<Checkpoint> {
  const next = await readManifest(dir, NEXT_MANIFEST);
  const manifest = next ?? (await readManifest(dir, MANIFEST));
  if (manifest === undefined) {
    throw new DetectorError(
      'CHECKPOINT_NOT_FOUND',
      `No checkpoint in ${dir}: expected a directory with ${MANIFEST}, model.safetensors and, to resume, optimizer.safetensors. ` +
        'Give the "best" or "last" directory of a run.',
    );
  }
  const paths = new Map<string, string>();
  for (const [name, expected] of Object.entries(manifest.files)) {
    const path = next && (await exists(join(dir, name + NEXT))) ? join(dir, name + NEXT) : join(dir, name);
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

/**
 * What the checkpoint in a directory says of itself, if there is one; its files are not looked at.
 * @throws DetectorError CHECKPOINT_CORRUPT, CHECKPOINT_MISMATCH
 */
export async function findManifest(dir: string): Promise<CheckpointManifest | undefined> {
  return (await readManifest(dir, NEXT_MANIFEST)) ?? (await readManifest(dir, MANIFEST));
}

/** Finishes an interrupted save, clears what a broken one left, and makes sure that nothing of the user's is in the way. */
async function prepareDirectory(dir: string, names: readonly string[]): Promise<void> {
  const next = await readManifest(dir, NEXT_MANIFEST).catch(asForeign(dir));
  if (next) await rollForward(dir, next);
  const old = next ?? (await readManifest(dir, MANIFEST).catch(asForeign(dir)));
  const nextNames = new Set([...names, ...USUAL_FILES].map((name) => name + NEXT));
  const isLeftover = (entry: string) => nextNames.has(entry) || /^\.checkpoint\.next\.json\.\w+\.tmp$/.test(entry);
  const isForeign = (entry: string) =>
    old ? names.includes(entry) && !Object.hasOwn(old.files, entry) : !isLeftover(entry);
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
  const old = await readManifest(dir, MANIFEST);
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

/** The manifest in a file of this name, checked; undefined when there is none. */
async function readManifest(dir: string, name: string): Promise<CheckpointManifest | undefined> {
  const path = join(dir, name);
  let text: string;
  try {
    if ((await stat(path)).size > MAX_MANIFEST_BYTES) throw corrupt(path, 'is larger than 16 MiB');
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error instanceof DetectorError ? error : corrupt(path, `cannot be read (${messageOf(error)})`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw corrupt(path, `is not JSON (${messageOf(error).slice(0, 120)})`);
  }
  return checkManifest(path, value);
}

function checkManifest(path: string, value: unknown): CheckpointManifest {
  if (!isObject(value) || value.format !== CHECKPOINT_FORMAT)
    throw corrupt(path, `does not say "format": "${CHECKPOINT_FORMAT}"`);
  if (value.version !== VERSION) {
    throw new DetectorError(
      'CHECKPOINT_MISMATCH',
      `${path} is of format version ${JSON.stringify(value.version)}, this program knows ${VERSION}. Use the program that wrote it: ${String(value.createdBy)}.`,
    );
  }
  const { createdBy, classes, model, training, files } = value;
  if (typeof createdBy !== 'string') throw corrupt(path, 'has no "createdBy"');
  if (!Array.isArray(classes) || classes.length === 0 || !classes.every((name) => typeof name === 'string')) {
    throw corrupt(path, 'has no "classes", a list of names');
  }
  if (!isObject(model)) throw corrupt(path, 'has no "model"');
  if (training !== undefined && !isTraining(training)) throw corrupt(path, 'has a wrong "training"');
  if (!isObject(files)) throw corrupt(path, 'has no "files"');
  for (const [name, file] of Object.entries(files)) {
    const sound =
      isFileName(name) && isObject(file) && /^[0-9a-f]{64}$/.test(String(file.sha256)) && isCount(file.bytes);
    if (!sound) throw corrupt(path, `has a wrong entry ${JSON.stringify(name.slice(0, 100))} in "files"`);
  }
  return value as unknown as CheckpointManifest;
}

async function verify(path: string, expected: { sha256: string; bytes: number }): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) throw corrupt(path, 'is missing');
  if (found.size !== expected.bytes)
    throw corrupt(path, `has ${found.size} bytes, its checkpoint says ${expected.bytes}`);
  const { sha256 } = await digestFile(path);
  if (sha256 !== expected.sha256)
    throw corrupt(
      path,
      `has the SHA-256 ${sha256}, its checkpoint says ${expected.sha256}: a damaged or exchanged file`,
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

export function corrupt(path: string, what: string): DetectorError {
  return new DetectorError('CHECKPOINT_CORRUPT', `${path} ${what}. Copy the checkpoint again or use another one.`);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** A plain name: no way out of the directory, no clash with the names that saving uses. */
function isFileName(name: string): boolean {
  return /^[A-Za-z0-9][\w.-]{0,100}$/.test(name) && !name.endsWith(NEXT) && ![MANIFEST, NEXT_MANIFEST].includes(name);
}

function isTraining(value: unknown): boolean {
  return isObject(value) && isCount(value.epoch) && (value.compute === undefined || isCompute(value.compute));
}

function isCompute(value: unknown): boolean {
  try {
    checkComputeOptions(checkKeys('compute', value, computeKeys));
    return true;
  } catch {
    return false;
  }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
