import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type JsonItem, type JsonStreamOptions, readJsonItems } from '../../../lib/files/json-stream.ts';
import { temporaryFolder } from '../../support/voc.ts';

async function itemsOf(text: string | Uint8Array, options: JsonStreamOptions = {}): Promise<JsonItem[]> {
  const path = join(await temporaryFolder(), 'a.json');
  await writeFile(path, text);
  const items: JsonItem[] = [];
  for await (const item of readJsonItems(path, options)) items.push(item);
  return items;
}

/** What the items stand for, put together again. */
function joined(items: readonly JsonItem[]): unknown {
  if (items.every(({ key }) => key === '')) return items.map(({ value }) => value);
  const root: Record<string, unknown> = {};
  for (const { key, index, value } of items) {
    if (index === undefined) root[key] = value;
    else root[key] = [...((root[key] as unknown[] | undefined) ?? []), value];
  }
  return root;
}

describe('readJsonItems', () => {
  it.each([
    { a: [1, 'x', null, true, [2, [3]], { b: [] }], c: 'd', e: -1.5e3, f: { g: [1, 2] }, h: false },
    { 'key "with" \\ quotes': ['a "quoted" \\ text\n', '{[,:]}', '\u{1f436}'] },
    [{ a: 1 }, [], {}, 'x', 4],
  ])('gives what JSON.parse gives: %j', async (value) => {
    expect(joined(await itemsOf(JSON.stringify(value)))).toEqual(value);
    expect(joined(await itemsOf(JSON.stringify(value, null, 3)))).toEqual(value);
  });

  it('is not stopped by the borders of chunks', async () => {
    const value = {
      a: Array.from({ length: 3000 }, (_, i) => ({ text: `${'\\"'.repeat(i % 50)}猫`, i, list: [[i]] })),
    };
    const text = JSON.stringify(value);
    expect(text.length).toBeGreaterThan(3 * 64 * 1024);
    expect(joined(await itemsOf(text))).toEqual(value);
    expect(joined(await itemsOf(Buffer.from(`\ufeff${text}`, 'utf16le')))).toEqual(value);
  });

  it('passes over what is not wanted, however long', async () => {
    const long = 'x'.repeat(300_000);
    const text = JSON.stringify({ a: [1], long, more: { long }, list: [long, long], z: 2 });
    const options = { ignore: ['long', 'more', 'list'], maxItemBytes: 1000 };
    expect(joined(await itemsOf(text, options))).toEqual({ a: [1], z: 2 });
    await expect(itemsOf(text, { maxItemBytes: 1000 })).rejects.toThrow(
      'its item "long" has more than the 1000 bytes allowed',
    );
  });

  it("reads Python's numbers that are none as null", async () => {
    expect(joined(await itemsOf('{"a": [NaN, -Infinity, {"b": [Infinity, 1]}, "NaN"]}'))).toEqual({
      a: [null, null, { b: [null, 1] }, 'NaN'],
    });
  });

  it.each([
    ['', 'it is empty'],
    ['  ', 'it ends too early'],
    ['{"a": [1, 2', 'it ends too early, after 11 bytes'],
    ['{"a": 1} x', 'something follows its end'],
    ['x', 'expected { or ['],
    [']', 'expected { or ['],
    ['{"a": [1, }', 'at byte 10, expected ]'],
    ['{"a": 1]', 'expected }'],
    ['{a: 1}', 'a name is no JSON'],
    ['{1: 1}', 'expected a name in quotes'],
    ['{"a" 1}', 'expected a name and a colon'],
    ['['.repeat(100_000), 'nested more than 64 levels'],
    ['{"a": ["b" "c"]}', 'a[0] is no JSON'],
  ])('refuses %j', async (text, message) => {
    await expect(itemsOf(text)).rejects.toThrow(message);
  });

  it('gives the event loop its turn', async () => {
    const text = JSON.stringify({ a: Array.from({ length: 100_000 }, (_, i) => ({ id: i, box: [i, i + 0.5, 3, 4] })) });
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    await itemsOf(text);
    clearInterval(ticking);
    expect(turns).toBeGreaterThan(10);
  });

  it('ends with the reason of a signal, and names what is no file', async () => {
    await expect(itemsOf('{"a": [1]}', { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
    const read = async (path: string) => await readJsonItems(path).next();
    await expect(read(await temporaryFolder())).rejects.toThrow('it is a directory');
    await expect(read('/no/such/file')).rejects.toThrow('it does not exist');
  });
});
