import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** vitest's global set-up: a temporary directory for this run, whose end takes with it what tests and their processes leave there. */
export default function useOwnTemporaryDirectory(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'dinov3-det-tests-'));
  for (const name of ['TMPDIR', 'TEMP', 'TMP']) process.env[name] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
