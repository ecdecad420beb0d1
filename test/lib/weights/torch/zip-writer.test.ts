import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { checkStored, readEntry, readZip } from '../../../../lib/weights/torch/zip.ts';
import { writeStoredZip } from '../../../../lib/weights/torch/zip-writer.ts';
import { expectError, temporaryFolder } from '../../../support/voc.ts';

const nothing = async () => {};

describe('writeStoredZip', () => {
  it('writes these bytes', async () => {
    const path = join(await temporaryFolder(), 'a.zip');
    await writeStoredZip(path, [{ name: 'm/a', content: Buffer.from('hello') }], nothing);
    const hex = (await readFile(path)).toString('hex');
    const sum = '86a61036'; // CRC-32 of "hello" is 0x3610a686
    // version 1.0, no flags, stored, 00:00 of 1980-01-01, CRC-32, 5 bytes twice, a name of 3
    const fields = `0a00 0000 0000 0000 2100 ${sum} 05000000 05000000 0300`;
    const local = `504b0304 ${fields} 1f00 6d2f61 4642 1b00 ${'5a'.repeat(27)} 68656c6c6f`;
    const central = `504b0102 0a00 ${fields} 0000 0000 0000 0000 00000000 00000000 6d2f61`;
    const end = '504b0506 0000 0000 0100 0100 31000000 45000000 0000';
    expect(hex).toBe(`${local}${central}${end}`.replaceAll(' ', ''));
  });

  it('sums what is filled in later, and begins every content at a multiple of 64', async () => {
    const path = join(await temporaryFolder(), 'a.zip');
    const large = Buffer.alloc(2_500_000, 'abcdefg'); // more than two slices of the sum
    const names = ['m/first', 'm/empty', 'm/large', 'm/last'];
    const contents = [Buffer.from('1'), 0, large.length, Buffer.from('3\n')];
    let filled: readonly number[] = [];
    await writeStoredZip(
      path,
      names.map((name, index) => ({ name, content: contents[index]! })),
      async (offsets) => {
        filled = offsets;
        const file = await readFile(path);
        large.copy(file, offsets[2]!);
        await writeFile(path, file, { flag: 'r+' });
      },
    );
    const entries = await readZip(await readFile(path));
    expect(entries.map(({ name }) => name)).toEqual(names);
    expect(entries.map(({ offset }) => offset)).toEqual(filled);
    expect(filled.map((offset) => offset % 64)).toEqual([0, 0, 0, 0]);
    expect(entries[2]!.crc32).toBe(crc32(large));
    for (const entry of entries) await checkStored(entry);
    expect((await readEntry(entries[2]!, large.length)).equals(large)).toBe(true);
    expect((await readEntry(entries[3]!, 2)).toString()).toBe('3\n');
  });

  it('does not write over a file', async () => {
    const path = join(await temporaryFolder(), 'a.zip');
    await writeFile(path, 'mine');
    await expect(writeStoredZip(path, [], nothing)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await readFile(path, 'utf8')).toBe('mine');
  });

  it('refuses what needs zip64, before it writes anything', async () => {
    const path = join(await temporaryFolder(), 'a.zip');
    const huge = { name: 'm/a', content: 2 ** 32 - 100 };
    await expectError(writeStoredZip(path, [huge], nothing), 'OUTPUT_NOT_WRITABLE', path, '4 GiB', 'safetensors');
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('notices that its file was cut while it was filled', async () => {
    const path = join(await temporaryFolder(), 'a.zip');
    const writing = writeStoredZip(path, [{ name: 'm/a', content: 100 }], () => truncate(path, 70));
    await expect(writing).rejects.toThrow('became shorter');
  });
});
