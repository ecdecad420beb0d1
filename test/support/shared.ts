import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The real data set that lies beside a checkout on the project's own machines; tests that need it are skipped elsewhere. */
export const bccdRoot = fileURLToPath(new URL('../../../shared/data/bccd', import.meta.url));
export const hasBccd = existsSync(bccdRoot);

const fixtures = process.env.DINOV3_DET_FIXTURES ?? fileURLToPath(new URL('../fixtures', import.meta.url));

/** The absolute path of a file under test/fixtures, or in `npm run test:parity` of the one just made in its place. */
export function fixture(name: string): string {
  return join(fixtures, name);
}

/** A golden file, which test/reference makes. */
// biome-ignore lint/suspicious/noExplicitAny: each golden file has a form of its own
export async function golden(name: string): Promise<any> {
  return JSON.parse(await readFile(fixture(name), 'utf8'));
}
