import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { messageOf } from '../../base/errors.ts';
import { python, runProgram } from '../program.ts';

/** How long a server may take to begin its answer: an unreachable one must not hold up the next source. */
const connectTimeout = 5_000;

export type TransferOptions = {
  signal?: AbortSignal | undefined;
  /** Bytes so far, and of all when that is known. */
  onBytes?: ((done: number, total: number | undefined) => void) | undefined;
};

/** The text of a page of at most 16 MB. */
export async function fetchText(url: string, signal?: AbortSignal): Promise<string> {
  const body = await openUrl(url, signal);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body.chunks) {
    size += chunk.length;
    if (size > 16 * 2 ** 20) throw new Error(`${url} is larger than 16 MB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Downloads `url` into the new file `target` and gives its SHA-256.
 * @throws {Error} when the server cannot be reached, sends less than it announced, or `sha256` is another.
 */
export async function download(
  url: string,
  target: string,
  { sha256, signal, onBytes }: TransferOptions & { sha256?: string | undefined } = {},
): Promise<string> {
  const { chunks, total } = await openUrl(url, signal);
  const hash = createHash('sha256');
  let done = 0;
  const watched = async function* () {
    for await (const chunk of chunks) {
      hash.update(chunk);
      done += chunk.length;
      onBytes?.(done, total);
      yield chunk;
    }
  };
  await pipeline(watched, createWriteStream(target, { flags: 'wx' }), { signal });
  if (total !== undefined && done !== total) throw new Error(`${url} ended after ${done} of ${total} bytes`);
  const actual = hash.digest('hex');
  if (sha256 !== undefined && actual !== sha256) {
    throw new Error(`${url} has the SHA-256 ${actual}, and ${sha256} is published`);
  }
  return actual;
}

async function openUrl(
  url: string,
  signal?: AbortSignal,
): Promise<{ chunks: AsyncIterable<Uint8Array>; total: number | undefined }> {
  const connecting = new AbortController();
  const timer = setTimeout(
    () => connecting.abort(new Error(`no answer within ${connectTimeout / 1000} s`)),
    connectTimeout,
  );
  try {
    const signals = signal ? [connecting.signal, signal] : [connecting.signal];
    const response = await fetch(url, { signal: AbortSignal.any(signals) });
    if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
    const length = response.headers.get('content-length');
    const isEncoded = response.headers.has('content-encoding');
    return { chunks: response.body, total: length === null || isEncoded ? undefined : Number(length) };
  } catch (error) {
    signal?.throwIfAborted();
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new Error(`cannot reach ${url}: ${messageOf(cause)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** SHA-256 of a file. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/**
 * Lets pip download the wheel of `requirement` into the empty folder `folder`, with pip's own hash check, and gives its
 * path. pip's temporary files go there too, so that removing the folder removes everything.
 */
export async function pipDownload(
  requirement: string,
  folder: string,
  pipOptions: readonly string[],
  { signal, onBytes }: TransferOptions = {},
): Promise<string> {
  let total: number | undefined;
  const report = async () => onBytes?.(await sizeOfFolder(folder), total);
  const timer = setInterval(() => report().catch(() => undefined), 500);
  const command = ['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--dest', folder];
  try {
    await runProgram(python, [...command, ...pipOptions, requirement], {
      signal,
      env: { TMPDIR: folder, PIP_DISABLE_PIP_VERSION_CHECK: '1' },
      onLine: (line) => {
        total = announcedBytes(line) ?? total;
      },
    });
  } finally {
    clearInterval(timer);
  }
  const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) throw new Error(`pip has put no wheel of ${requirement} into ${folder}`);
  return join(folder, wheel);
}

/** The size in pip's line `Downloading torch-2.13.0-....whl (183.4 MB)`. */
function announcedBytes(line: string): number | undefined {
  const match = /Downloading \S+.*\(([\d.]+) ([kMG])B\)/.exec(line);
  return match === null ? undefined : Number(match[1]) * { k: 1e3, M: 1e6, G: 1e9 }[match[2] as 'k' | 'M' | 'G'];
}

async function sizeOfFolder(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((a, b) => a + b, 0);
}
