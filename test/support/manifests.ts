import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Rewrites the manifest of a checkpoint as an earlier version would have written it: without a seal. */
export async function rewriteManifest(
  dir: string,
  // biome-ignore lint/suspicious/noExplicitAny: JSON that a test takes apart
  change: (manifest: any) => object = (manifest) => manifest,
): Promise<void> {
  const path = join(dir, 'checkpoint.json');
  const { seal: _, ...manifest } = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify(change(manifest)));
}
