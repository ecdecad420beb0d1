import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ZipError } from '../../../../lib/files/zip-format.ts';
import { checkStored, readEntry, readZip } from '../../../../lib/weights/torch/zip.ts';
import { fixture } from '../../../support/shared.ts';
import { storedZip, zipWithDeflated } from '../../../support/stored-zip.ts';

const MAX = 1 << 20;
const a: [string, Buffer] = ['m/a', Buffer.from('alpha')];
const b: [string, Buffer] = ['m/b', Buffer.from('beta!')];

/** The archive of one deflated entry that claims this size. */
const deflated = (content: Buffer, claimed: number) => zipWithDeflated([['m/a', content]], 'm/a', content, claimed);

describe('readZip', () => {
  it('reads an archive as torch writes it', async () => {
    const entries = await readZip(readFileSync(fixture('torchscript/wrong_rank.pt')));
    const byName = new Map(entries.map((entry) => [entry.name, entry]));
    expect(byName.get('wrong_rank/data/0')).toMatchObject({ method: 'stored', size: 8 * 3 * 4 * 4 * 4 });
    const code = byName.get('wrong_rank/code/__torch__.py')!;
    expect(code.method).toBe('deflated');
    expect((await readEntry(code, MAX)).toString()).toContain('class WrongRank(Module):');
    expect((await readEntry(byName.get('wrong_rank/byteorder')!, MAX)).toString()).toBe('little');
  });

  it('reads stored and deflated entries', async () => {
    const contents = await Promise.all((await readZip(storedZip([a, b]))).map((entry) => readEntry(entry, MAX)));
    expect(contents.map(String)).toEqual(['alpha', 'beta!']);
    const text = Buffer.from('again and again and again');
    expect(await readEntry((await readZip(deflated(text, text.length)))[0]!, MAX)).toEqual(text);
  });

  it('refuses more entries than it is told to take', async () => {
    await expect(readZip(storedZip([a, b]), 1)).rejects.toThrow('2 entries, above the limit of 1');
  });

  it('refuses every archive that is cut short', async () => {
    const archive = readFileSync(fixture('torchscript/wrong_rank.pt'));
    for (let length = 0; length < archive.length; length += 7) {
      await expect(readZip(archive.subarray(0, length)), `${length} bytes`).rejects.toThrow(ZipError);
    }
  });

  it('fails in no other way than ZipError, whatever byte is wrong', async () => {
    const archive = readFileSync(fixture('torchscript/set_state.pt'));
    for (let at = 0; at < archive.length; at++) {
      const broken = Buffer.from(archive);
      broken[at]! ^= 0xff;
      try {
        for (const entry of await readZip(broken)) await readEntry(entry, MAX);
      } catch (error) {
        expect(error, `byte ${at}`).toBeInstanceOf(ZipError);
      }
    }
  });
});

describe('checkStored', () => {
  it('sums an entry of several slices, and finds a flipped bit in the last one', async () => {
    const archive = storedZip([['m/a', Buffer.alloc((2 << 20) + 5, 'alpha')]]);
    await expect(checkStored((await readZip(archive))[0]!)).resolves.toBeUndefined();
    archive[30 + 3 + (2 << 20) + 4]! ^= 1;
    await expect(checkStored((await readZip(archive))[0]!)).rejects.toThrow('CRC-32');
  });

  it('refuses a packed entry', async () => {
    await expect(checkStored((await readZip(deflated(Buffer.from('alpha'), 5)))[0]!)).rejects.toThrow('compressed');
  });
});

describe('readEntry', () => {
  it('refuses a flipped bit', async () => {
    const archive = storedZip([a]);
    archive[33]! ^= 1;
    await expect(readEntry((await readZip(archive))[0]!, MAX)).rejects.toThrow('CRC-32');
  });

  it('refuses more than is asked for, before unpacking it', async () => {
    await expect(readEntry((await readZip(storedZip([a])))[0]!, 4)).rejects.toThrow('above the limit of 4');
  });

  it.each([4, 6])('refuses an entry that unpacks to another size than it claims (%i)', async (claimed) => {
    await expect(readEntry((await readZip(deflated(Buffer.from('alpha'), claimed)))[0]!, MAX)).rejects.toThrow(
      'claims',
    );
  });

  it('stops unpacking a bomb at the size that it claims', async () => {
    await expect(readEntry((await readZip(deflated(Buffer.alloc(MAX), 10)))[0]!, MAX)).rejects.toThrow(
      'cannot be inflated',
    );
  });
});
