import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/parity.mjs', import.meta.url));

function parity(env: Record<string, string>, ...args: string[]) {
  return promisify(execFile)(process.execPath, [script, ...args], { env: { ...process.env, ...env } });
}

describe('npm run test:parity', () => {
  it.each([process.execPath, '/nowhere/python', 'no-such-python'])(
    'tells how to get torch where there is none: %s',
    async (python) => {
      const refusal = await parity({ DINOV3_DET_TORCH_PYTHON: python }).catch((error) => error);
      expect(refusal).toMatchObject({ code: 1, stdout: '' });
      expect(refusal.stderr).toContain(`Error: parity needs a Python with torch, and ${python} has none`);
      expect(refusal.stderr).toContain('npm run test:parity -- --create-venv DIR');
      expect(refusal.stderr).toMatch(/pip install torch==[\d.]+ numpy torchvision==/);
    },
  );

  it('refuses an option that it does not know', async () => {
    await expect(parity({}, '--create-env', 'x')).rejects.toThrow("Unknown option '--create-env'");
  });

  it('knows every script that makes golden files', async () => {
    const source = await readFile(script, 'utf8');
    const scripts = await readdir(fileURLToPath(new URL('../reference', import.meta.url)));
    const makers = scripts.filter((name) => /^make_.*\.py$|_fixtures\.py$/.test(name) && name !== 'make_weights.py'); // that one, a test calls
    expect(makers.filter((name) => !source.includes(`script: '${name}'`))).toEqual([]);
    expect(makers.length).toBeGreaterThan(5);
  });
});
