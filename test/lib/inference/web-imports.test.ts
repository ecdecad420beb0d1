import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/** Every module that a file imports when it runs, and what it imports in turn; paths of our own files, names of others. */
function importsOf(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, clause, from] of readFileSync(file, 'utf8').matchAll(/^(?:import|export) ([^;]*?) from '([^']+)';/gm)) {
    if (clause!.startsWith('type ')) continue;
    if (from!.startsWith('.')) importsOf(join(file, '..', from!), seen);
    else seen.add(from!);
  }
  return seen;
}

it('dinov3-det/web needs nothing that a browser has not', () => {
  const imports = [...importsOf(join(import.meta.dirname, '../../../lib/inference/web.ts'))];
  expect(imports.length).toBeGreaterThan(15);
  expect(imports.filter((each) => !each.endsWith('.ts'))).toEqual([]);
});
