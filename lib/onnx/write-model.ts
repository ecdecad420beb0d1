import { createHash, type Hash, randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { replaceFile, syncFile, writing } from '../files/atomic-file.ts';
import { type ExternalPlace, encodeMetadata, encodeModel, type Initializer, type Model } from './proto/model-proto.ts';
import type { Piece, ProtobufMessage } from './proto/protobuf.ts';

/** Protobuf's readers take no message of 2 GiB; some room is left for what is not weights. */
export const EXTERNAL_ABOVE = 2 ** 31 - 2 ** 24;
/** As the format recommends, so that the file can be mapped into memory. */
const ALIGNMENT = 4096;
/** Node.js writes no 2 GB at once, and the event loop waits while a chunk is hashed. */
const CHUNK_BYTES = 2 ** 23;
/** A smaller constant stays in the model: shapes are looked up there. */
const MIN_EXTERNAL_BYTES = 1024;

/** The last entry of a file of ours: the SHA-256 of all bytes before it. */
export const DIGEST_KEY = 'sha256';
/** The SHA-256 of the file beside it, where there is one. */
export const DATA_DIGEST_KEY = 'data_sha256';

/**
 * Writes a model whole or not at all. Weights that together have more than `externalAbove` bytes go into a file beside it, named as it
 * is with `.data` at the end, which is in place before the model is.
 */
export async function writeModel(
  path: string,
  model: Model,
  metadata: Record<string, string>,
  externalAbove = EXTERNAL_ABOVE,
): Promise<void> {
  const weights = model.initializers.filter(({ content }) => content.byteLength >= MIN_EXTERNAL_BYTES);
  const total = weights.reduce((sum, { content }) => sum + content.byteLength, 0);
  const location = `${basename(path)}.data`;
  const places = total > externalAbove ? placesOf(weights, location) : new Map<Initializer, ExternalPlace>();
  const message = encodeModel(model, (each) => places.get(each));
  if (places.size === 0) return await replaceFile(path, (temporary) => writeMessage(temporary, message, metadata));
  await writing(path, async () => {
    // Both are there whole before the first of them gets its name.
    const data = join(dirname(path), `.${location}.${randomBytes(6).toString('hex')}.tmp`);
    try {
      const digest = await writeWeights(data, places);
      await replaceFile(path, async (temporary) => {
        await writeMessage(temporary, message, { ...metadata, [DATA_DIGEST_KEY]: digest });
        await rename(data, join(dirname(path), location));
      });
    } finally {
      await rm(data, { force: true });
    }
  });
}

function placesOf(weights: readonly Initializer[], location: string): Map<Initializer, ExternalPlace> {
  let end = 0;
  return new Map(
    weights.map((each) => {
      const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
      end = offset + each.content.byteLength;
      return [each, { location, offset }];
    }),
  );
}

/** Gives the SHA-256 of the file. */
async function writeWeights(path: string, places: ReadonlyMap<Initializer, ExternalPlace>): Promise<string> {
  const file = await open(path, 'wx');
  const hash = createHash('sha256');
  let end = 0;
  try {
    for (const [{ content }, { offset }] of places) {
      const bytes = await bytesOf(content);
      hash.update(new Uint8Array(offset - end)); // what lies between two weights is 0
      await writeFully(file, bytes, hash, offset);
      end = offset + bytes.length;
    }
  } finally {
    await file.close();
  }
  await syncFile(path);
  return hash.digest('hex');
}

async function writeMessage(path: string, message: ProtobufMessage, metadata: Record<string, string>): Promise<void> {
  const file = await open(path, 'wx');
  try {
    const hash = createHash('sha256');
    await writePieces(file, message.pieces, hash);
    for (const [key, value] of Object.entries(metadata))
      await writePieces(file, encodeMetadata(key, value).pieces, hash);
    await writePieces(file, encodeMetadata(DIGEST_KEY, hash.digest('hex')).pieces);
  } finally {
    await file.close();
  }
}

/** Small pieces together, weights one by one. */
async function writePieces(file: FileHandle, pieces: readonly Piece[], hash?: Hash): Promise<void> {
  let small: Uint8Array[] = [];
  const flush = async () => {
    await writeFully(file, Buffer.concat(small), hash);
    small = [];
  };
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) small.push(piece);
    else {
      await flush();
      await writeFully(file, await bytesOf(piece), hash);
    }
  }
  await flush();
}

async function bytesOf(piece: Piece): Promise<Uint8Array> {
  const bytes = piece instanceof Uint8Array ? piece : await piece.read();
  if (bytes.byteLength === piece.byteLength) return bytes;
  throw new Error(`Expected ${piece.byteLength} bytes of a weight, found ${bytes.byteLength}`);
}

/** At the end of what is there, or at `position`. */
async function writeFully(file: FileHandle, bytes: Uint8Array, hash?: Hash, position?: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const chunk = bytes.subarray(done, done + CHUNK_BYTES);
    const at = position === undefined ? null : position + done;
    const { bytesWritten } = await file.write(chunk, 0, chunk.length, at);
    hash?.update(chunk.subarray(0, bytesWritten));
    done += bytesWritten;
  }
}
