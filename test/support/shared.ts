import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The real data set that lies beside a checkout on the project's own machines; tests that need it are skipped elsewhere. */
export const bccdRoot = fileURLToPath(new URL('../../../shared/data/bccd', import.meta.url));
export const hasBccd = existsSync(bccdRoot);

/** The absolute path of a file under test/fixtures. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}
