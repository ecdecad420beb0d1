import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { ZipFile } from '../../../../lib/libtorch/install/unzip.ts';
import { makeZip, temporaryFolder, type ZipPart } from '../fake-libtorch.ts';

const noise = randomBytes(1_000_000);
const zeros = Buffer.alloc(3_000_000);

async function unzip(bytes: Buffer): Promise<string> {
  const folder = await temporaryFolder();
  const path = join(folder, 'test.zip');
  await writeFile(path, bytes);
  const zip = await ZipFile.open(path);
  try {
    await zip.extract(join(folder, 'out'), (name) => name);
  } finally {
    await zip.close();
  }
  return join(folder, 'out');
}

test.each([{ zip64: false }, { zip64: true }])(
  'stored and deflated files come out as they went in (%o)',
  async (kind) => {
    const out = await unzip(
      makeZip(
        [
          { name: 'a/noise', data: noise },
          { name: 'a/b/zeros', data: zeros },
          { name: 'stored', data: noise, isDeflated: false },
          { name: 'empty', data: Buffer.alloc(0) },
          { name: 'folder/', data: Buffer.alloc(0) },
        ],
        kind,
      ),
    );
    expect((await readFile(join(out, 'a/noise'))).equals(noise)).toBe(true);
    expect((await readFile(join(out, 'a/b/zeros'))).equals(zeros)).toBe(true);
    expect((await readFile(join(out, 'stored'))).equals(noise)).toBe(true);
    expect(await readFile(join(out, 'empty'), 'utf8')).toBe('');
    expect((await readdir(out)).sort()).toEqual(['a', 'empty', 'stored']);
  },
);

test('only the files that get a name are written, and their bytes are counted', async () => {
  const folder = await temporaryFolder();
  const path = join(folder, 'test.zip');
  await writeFile(
    path,
    makeZip([
      { name: 'torch/keep', data: noise },
      { name: 'torch/drop', data: zeros },
    ]),
  );
  const zip = await ZipFile.open(path);
  const counts: number[] = [];
  await zip.extract(folder, (name) => (name === 'torch/keep' ? 'kept' : undefined), { onBytes: (n) => counts.push(n) });
  await zip.close();
  expect((await readdir(folder)).sort()).toEqual(['kept', 'test.zip']);
  expect(counts.at(-1)).toBe(noise.length);
  expect(counts).toEqual([...counts].sort((a, b) => a - b));
});

test('a small text is read without unpacking, an absent or large one is not', async () => {
  const path = join(await temporaryFolder(), 'test.zip');
  await writeFile(
    path,
    makeZip([
      { name: 'version.py', data: Buffer.from('x = 1') },
      { name: 'large', data: zeros },
    ]),
  );
  const zip = await ZipFile.open(path);
  expect(await zip.readText('version.py')).toBe('x = 1');
  expect(await zip.readText('absent')).toBeUndefined();
  expect(await zip.readText('large')).toBeUndefined();
  await zip.close();
});

const data = Buffer.from('some bytes of a file');
const hostile: [string, ZipPart[], RegExp][] = [
  ['a parent folder', [{ name: '../evil', data }], /unsafe name "\.\.\/evil"/],
  ['a parent folder in the middle', [{ name: 'a/../../evil', data }], /unsafe name/],
  ['an absolute name', [{ name: '/etc/evil', data }], /unsafe name/],
  ['a drive', [{ name: 'C:evil', data }], /unsafe name/],
  ['backslashes', [{ name: '..\\evil', data }], /unsafe name/],
  ['a zero byte in a name', [{ name: 'a\0b', data }], /unsafe name/],
  ['an empty name', [{ name: '', data }], /unsafe name/],
  [
    'one name twice',
    [
      { name: 'a', data },
      { name: 'a', data },
    ],
    /holds "a" twice/,
  ],
  ['a wrong checksum', [{ name: 'a', data, crc: 1 }], /"a" is damaged \(CRC-32\)/],
  ['more bytes than stated', [{ name: 'a', data: zeros, size: 1000 }], /"a" is larger than the 1000 bytes/],
  ['fewer bytes than stated', [{ name: 'a', data, size: 1000 }], /"a" has 20 bytes, not 1000/],
  ['encryption', [{ name: 'a', data, flags: 1 }], /holds "a" encrypted/],
  ['another compression', [{ name: 'a', data, method: 12 }], /method 12/],
  ['bytes that are not deflated', [{ name: 'a', data, isDeflated: false, method: 8 }], /Cannot unpack/],
  ['a position past the end', [{ name: 'a', data, offset: 1e9 }], /"a", which is out of bounds/],
  ['a position of something else', [{ name: 'a', data, offset: 7 }], /not where the directory says/],
];

test.each(hostile)('refuses %s', async (_, parts, message) => {
  await expect(unzip(makeZip(parts))).rejects.toThrow(message);
});

test('refuses what is cut short anywhere, or no zip at all', async () => {
  const whole = makeZip([
    { name: 'a', data: noise.subarray(0, 200) },
    { name: 'b', data },
  ]);
  await expect(unzip(whole)).resolves.toMatch(/out$/);
  for (const length of [0, 10, 21, 22, 100, whole.length - 23, whole.length - 1]) {
    await expect(unzip(whole.subarray(0, length))).rejects.toThrow(/Cannot unpack .*test\.zip: it/);
  }
  await expect(unzip(whole.subarray(50))).rejects.toThrow(/Cannot unpack/);
  await expect(unzip(Buffer.from('<html>404</html>'.repeat(100)))).rejects.toThrow(/not a zip archive/);
});

test('any one flipped byte is refused or changes nothing', async () => {
  const whole = makeZip([{ name: 'a', data }]);
  for (let at = 0; at < whole.length; at++) {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 0x55;
    const folder = await unzip(bytes).catch((error: Error) => error);
    if (folder instanceof Error) continue;
    for (const name of await readdir(folder).catch(() => [])) {
      expect((await readFile(join(folder, name))).equals(data), `byte ${at}`).toBe(true);
    }
  }
});

test('an abort ends it with its reason', async () => {
  const path = join(await temporaryFolder(), 'test.zip');
  await writeFile(path, makeZip([{ name: 'a', data: zeros }]));
  const zip = await ZipFile.open(path);
  const reason = new Error('enough');
  const extraction = zip.extract(join(path, '..', 'out'), (name) => name, { signal: AbortSignal.abort(reason) });
  await expect(extraction).rejects.toBe(reason);
  await zip.close();
});
