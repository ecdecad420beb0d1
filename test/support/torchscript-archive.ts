import { readFile } from 'node:fs/promises';
import { readEntry, readZip } from '../../lib/weights/torch/zip.ts';
import { fixture } from './shared.ts';
import { storedZip } from './stored-zip.ts';

export type Change = (content: Buffer) => Buffer | undefined;

/** The records of an archive of torch, unpacked. */
export async function recordsOf(archive: Buffer): Promise<[name: string, content: Buffer][]> {
  const entries = await readZip(archive);
  return await Promise.all(entries.map(async (entry) => [entry.name, await readEntry(entry, 1 << 20)]));
}

/**
 * An archive of torch with some of its records changed, added (from nothing) or, where the change gives nothing, left out; by their
 * paths below the archive's own directory.
 */
export async function withRecords(archive: Buffer, changes: Record<string, Change>): Promise<Buffer> {
  const records = await recordsOf(archive);
  const root = records[0]![0].split('/')[0];
  const paths = new Set([...records.map(([name]) => name), ...Object.keys(changes).map((path) => `${root}/${path}`)]);
  const contents = new Map(records);
  return storedZip(
    [...paths].flatMap((name) => {
      const content = contents.get(name) ?? Buffer.alloc(0);
      const change = changes[name.slice(`${root}/`.length)];
      const made = change ? change(content) : content;
      return made ? [[name, made] as const] : [];
    }),
  );
}

/** `wrong_rank.pt` with these lines before the end of its `forward` and more code behind it: members of its class, and what is beside it. */
export async function withCode(lines: string, more = ''): Promise<Buffer> {
  return withRecords(await readFile(fixture('torchscript/wrong_rank.pt')), {
    'code/__torch__.py': (code) => {
      const [before, after] = code.toString().split('    return _0\n');
      return Buffer.from(`${before}${lines.replaceAll(/^/gm, '    ')}\n    return _0\n${after}${more}`);
    },
  });
}
