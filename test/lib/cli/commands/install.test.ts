import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { doctorCommand } from '../../../../lib/cli/commands/doctor.ts';
import { installCommand } from '../../../../lib/cli/commands/install.ts';
import { temporaryFolder } from '../../libtorch/fake-libtorch.ts';

let folder: string;
let printed: string[];
beforeEach(async () => {
  folder = await temporaryFolder();
  printed = [];
  vi.stubEnv('DINOV3_DET_CACHE', join(folder, 'cache'));
  vi.spyOn(console, 'log').mockImplementation((text) => printed.push(text));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
});

const run = (command: Command, ...args: string[]) =>
  command
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .parseAsync(args, { from: 'user' });

test('install --dry-run says where from and where to, and writes nothing', async () => {
  await run(installCommand(), '--cuda', '--dry-run');
  expect(printed[0]).toContain(`Would install LibTorch (cuda) into ${join(folder, 'cache', 'libtorch-2.13.0-cuda')}`);
  expect(printed[0]).toContain('Disk space needed: 12.0 GB');
  expect(printed[0]).toMatch(/ {2}- https:\/\/download\.pytorch\.org\/libtorch\//);
  expect(await readdir(folder)).toEqual([]);
});

test('install refuses two variants, and a place where nothing is', async () => {
  await expect(run(installCommand(), '--cpu', '--cuda')).rejects.toThrow(/cannot be used with option/);
  await expect(run(installCommand(), '--from', join(folder, 'absent'))).rejects.toMatchObject({
    code: 'LIBTORCH_INSTALL_FAILED',
  });
  expect(printed).toEqual([]);
});

test('doctor --json prints the report, and the exit code says whether all is well', async () => {
  vi.stubEnv('LIBTORCH', folder);
  await run(doctorCommand(), '--json');
  const report = JSON.parse(printed[0]!);
  expect(report.ok).toBe(false);
  expect(report.checks).toContainEqual(expect.objectContaining({ name: 'LibTorch', ok: false, isNeeded: true }));
  expect(process.exitCode).toBe(1);
});

test.each([
  [installCommand, 'dinov3-det install --from libtorch.zip'],
  [doctorCommand, 'dinov3-det doctor --json'],
])('help shows examples (%o)', (make, example) => {
  let help = '';
  make()
    .configureOutput({ writeOut: (text) => (help += text) })
    .outputHelp();
  expect(help).toContain(example);
});
