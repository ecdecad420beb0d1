import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { checkKeys } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { readBoundedFile } from '../files/bounded-file.ts';
import { readFailure } from '../files/read-failure.ts';
import { type ComputeOptions, checkComputeOptions, computeKeys } from './compute-options.ts';

const CHECKPOINT_FORMAT = 'dinov3-det-checkpoint';
const VERSION = 1;

export const MANIFEST = 'checkpoint.json';
/** A manifest that was committed while its files still had their `.next` names. */
export const NEXT_MANIFEST = 'checkpoint.next.json';
export const NEXT = '.next';
/** A thousand classes and options take 100 kB. `JSON.parse` of more would hold the event loop. */
const MAX_BYTES = 2 << 20;

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
  /** SHA-256 of all the rest, in its canonical form. Checkpoints of earlier versions have none. */
  seal?: string;
}

/** What manifests of earlier versions have, and nothing else: a seal whose name is damaged does not pass for one of them. */
const UNSEALED_KEYS = ['format', 'version', 'createdBy', 'classes', 'model', 'training', 'files'];

export type CheckpointContent = Pick<CheckpointManifest, 'createdBy' | 'classes' | 'model' | 'training'>;

/** A manifest as it was found. */
export interface FoundManifest {
  manifest: CheckpointManifest;
  text: string;
  /** Its files may still have their `.next` names. */
  isNext: boolean;
}

/** The manifest of a checkpoint with these files, and the text of its file. */
export function makeManifest(
  content: CheckpointContent,
  files: CheckpointManifest['files'],
): { manifest: CheckpointManifest; text: string } {
  const unsealed = { format: CHECKPOINT_FORMAT, version: VERSION, ...content, files } as const;
  // As a reader has it: what JSON cannot hold is not sealed.
  const manifest = { ...unsealed, seal: sealOf(JSON.parse(JSON.stringify(unsealed))) };
  return { manifest, text: `${JSON.stringify(manifest, null, 2)}\n` };
}

/**
 * What the checkpoint in a directory says of itself, if there is one; its files are not looked at.
 * @throws DetectorError CHECKPOINT_CORRUPT, CHECKPOINT_MISMATCH, IO_ERROR
 */
export async function findManifest(dir: string): Promise<FoundManifest | undefined> {
  return (await readManifest(dir, NEXT_MANIFEST)) ?? (await readManifest(dir, MANIFEST));
}

/** The manifest in a file of this name, checked; undefined when there is none. */
export async function readManifest(dir: string, name: string): Promise<FoundManifest | undefined> {
  const path = join(dir, name);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    throw corrupt(path, `is not JSON (${messageOf(error).slice(0, 120)})`);
  }
  return { manifest: checkManifest(path, value), text, isNext: name === NEXT_MANIFEST };
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readBoundedFile(path, MAX_BYTES);
  } catch (error) {
    const { code, cause } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR'].includes(code ?? (cause as NodeJS.ErrnoException | undefined)?.code ?? ''))
      return undefined;
    throw readFailure(path, error) ?? corrupt(path, `cannot be read: ${messageOf(error)}`);
  }
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
  checkSeal(path, value);
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

/** Before all else that the version does not decide: what is damaged is not to be understood. */
function checkSeal(path: string, { seal, ...rest }: Record<string, unknown>): void {
  const unknown = Object.keys(rest).find((key) => !UNSEALED_KEYS.includes(key));
  if (seal === undefined && unknown === undefined) return; // of an earlier version
  if (seal === undefined || seal !== sealOf(rest))
    throw corrupt(path, 'does not have the content that it was sealed with: it was damaged or changed');
}

function sealOf(manifest: object): string {
  return createHash('sha256').update(canonical(manifest)).digest('hex');
}

/** JSON in one form for one meaning: without spaces, the keys of each object in the order of their code units. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const entries = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${entries.join(',')}}`;
}

export function corrupt(path: string, what: string): DetectorError {
  return new DetectorError('CHECKPOINT_CORRUPT', `${path} ${what}. Copy the checkpoint again or use another one.`);
}

/** A plain name: no way out of the directory, no clash with the names that saving uses. */
export function isFileName(name: string): boolean {
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
