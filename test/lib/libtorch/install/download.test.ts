import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { download, fetchText, pipDownload, sha256Of } from '../../../../lib/libtorch/install/download.ts';
import { findWheel } from '../../../../lib/libtorch/install/sources.ts';
import { temporaryFolder } from '../fake-libtorch.ts';

const contents = Buffer.alloc(3_000_000, 'libtorch');
const sha256 = createHash('sha256').update(contents).digest('hex');
let server: Server;
let site: string;
let folder: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/whole') {
      response.setHeader('content-length', contents.length);
      response.end(contents);
    } else if (request.url === '/short') {
      response.setHeader('content-length', contents.length);
      response.write(contents.subarray(0, 1000));
      setTimeout(() => response.destroy(), 50);
    } else if (request.url === '/endless') {
      response.write(contents.subarray(0, 1000));
    } else if (request.url === '/page') {
      response.end('<a href="x">');
    } else {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  site = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  folder = await temporaryFolder();
  return () => vi.unstubAllEnvs();
});

describe('a download', () => {
  test('arrives whole, its bytes counted, its hash checked', async () => {
    const path = join(folder, 'file');
    const seen: [number, number | undefined][] = [];
    const hash = await download(`${site}/whole`, path, { sha256, onBytes: (done, total) => seen.push([done, total]) });
    expect(hash).toBe(sha256);
    expect((await readFile(path)).equals(contents)).toBe(true);
    expect(seen.at(-1)).toEqual([contents.length, contents.length]);
    expect(await sha256Of(path)).toBe(sha256);
  });

  test('of another hash, cut short, or not there is an error', async () => {
    const to = (name: string) => join(folder, name);
    await expect(download(`${site}/whole`, to('a'), { sha256: '0'.repeat(64) })).rejects.toThrow(
      `has the SHA-256 ${sha256}, and ${'0'.repeat(64)} is published`,
    );
    await expect(download(`${site}/short`, to('b'))).rejects.toThrow(/terminated/);
    await expect(download(`${site}/absent`, to('c'))).rejects.toThrow(/cannot reach .*absent: status 404/);
    await expect(download('http://127.0.0.1:65533/x', to('d'))).rejects.toThrow(/cannot reach .*ECONNREFUSED/);
  });

  test('ends on abort', async () => {
    const interruption = new AbortController();
    const reason = new Error('stopped');
    const downloading = download(`${site}/endless`, join(folder, 'file'), {
      signal: interruption.signal,
      onBytes: () => interruption.abort(reason),
    });
    await expect(downloading).rejects.toThrow(/stopped|abort/i);
  });

  test('of a page gives its text', async () => {
    expect(await fetchText(`${site}/page`)).toBe('<a href="x">');
  });
});

describe('the wheel of an index page', () => {
  const hash = (digit: string) => digit.repeat(64);
  const link = (name: string, digit: string) => `<a href="/whl/cpu/${name}#sha256=${hash(digit)}">${name}</a><br/>\n`;
  const page =
    link('torch-2.12.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl', '1') +
    link('torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_aarch64.whl', '2') +
    link('torch-2.13.0%2Bcu130-cp311-cp311-manylinux_2_28_x86_64.whl', '3') +
    '<a href="/whl/cpu/torch-2.13.0%2Bcpu-cp310-cp310-manylinux_2_28_x86_64.whl">no hash</a>' +
    link('torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl', '4') +
    link('torch-2.13.0-cp311-none-macosx_11_0_arm64.whl', '5') +
    link('torch-2.13.0%2Bcpu-cp311-cp311-win_amd64.whl', '6');

  test.each([
    ['linux-x64', '4', 'torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl'],
    ['linux-arm64', '2', 'torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_aarch64.whl'],
    ['darwin-arm64', '5', 'torch-2.13.0-cp311-none-macosx_11_0_arm64.whl'],
    ['win32-x64', '6', 'torch-2.13.0%2Bcpu-cp311-cp311-win_amd64.whl'],
  ])('for %s', (platform, digit, name) => {
    const url = `https://download.pytorch.org/whl/cpu/${name}`;
    expect(findWheel(page, 'https://download.pytorch.org/whl/cpu/torch/', platform)).toEqual({
      url,
      sha256: hash(digit),
    });
  });

  test('for another platform there is none', () => {
    expect(findWheel(page, 'https://download.pytorch.org/whl/cpu/torch/', 'linux-s390x')).toBeUndefined();
    expect(findWheel('<html></html>', 'https://download.pytorch.org/', 'linux-x64')).toBeUndefined();
  });
});

describe('pip', () => {
  async function fakePip(script: string): Promise<string> {
    const bin = join(folder, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'python3'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    vi.stubEnv('PATH', `${bin}:${process.env.PATH}`);
    const target = join(folder, 'target');
    await mkdir(target);
    return target;
  }

  test('puts a wheel into the folder, with its own temporary files there too', async () => {
    const target = await fakePip('echo "$TMPDIR|$*" > "$7/arguments"; echo wheel > "$7/torch-2.13.0-any.whl"');
    const path = await pipDownload('torch==2.13.0', target, ['--extra']);
    expect(path).toBe(join(target, 'torch-2.13.0-any.whl'));
    const expected = `${target}|-m pip download --no-deps --only-binary=:all: --dest ${target} --extra torch==2.13.0\n`;
    expect(await readFile(join(target, 'arguments'), 'utf8')).toBe(expected);
  });

  test('shows the bytes that have come, of those that it announces', async () => {
    const target = await fakePip(
      'echo "  Downloading torch-2.13.0-any.whl (183.4 MB)"; printf 12345 > "$7/torch-2.13.0-any.whl"; sleep 1.5',
    );
    const seen: [number, number | undefined][] = [];
    await pipDownload('torch==2.13.0', target, [], { onBytes: (done, total) => seen.push([done, total]) });
    expect(seen).toContainEqual([5, 183.4e6]);
  });

  test('that fails, does nothing, or is stopped', async () => {
    const target = await fakePip(
      'case "$*" in *bad*) echo no matching wheel >&2; exit 3;; *slow*) exec sleep 60;; esac',
    );
    await expect(pipDownload('bad', target, [])).rejects.toThrow('python3 ended with 3: no matching wheel');
    await expect(pipDownload('torch', target, [])).rejects.toThrow(/pip has put no wheel of torch/);
    const reason = new Error('stopped');
    const interruption = new AbortController();
    setTimeout(() => interruption.abort(reason), 100);
    await expect(pipDownload('slow', target, [], { signal: interruption.signal })).rejects.toBe(reason);
    expect(await readdir(target)).toEqual([]);
  });
});
