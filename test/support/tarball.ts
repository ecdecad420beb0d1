import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { withLock } from '../../lib/files/lock.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readJson = async (path: string) => JSON.parse(await readFile(path, 'utf8'));

/** package.json of this checkout. */
export const manifest = await readJson(join(root, 'package.json'));

/** Runs a program; its standard output. @throws {Error} with what it said, when it fails. */
export async function program(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string | undefined> } = {},
): Promise<string> {
  const env = { ...process.env, ...options.env };
  const shell = process.platform === 'win32' && command !== process.execPath;
  const { stdout } = await promisify(execFile)(command, args, { ...options, env, shell, maxBuffer: 1 << 26 });
  return stdout;
}

/** The tarball of this checkout, of what set-up has built; made once in a run of the tests. */
export async function packedPackage(): Promise<string> {
  const tarball = join(tmpdir(), `${manifest.name}-${manifest.version}.tgz`);
  await withLock(`${tarball}.lock`, {}, async () => {
    if (existsSync(tarball)) return;
    const prebuild = `import { prebuild } from './scripts/prebuild.mjs'; await prebuild();`;
    await program(process.execPath, ['--input-type=module', '--eval', prebuild], { cwd: root });
    await program('npm', ['pack', '--ignore-scripts', '--pack-destination', tmpdir()], { cwd: root });
  });
  return tarball;
}

/** How an install of the tarball was made: by npm, or by hand where neither its cache nor the registry was of use. */
export interface Install {
  byNpm: boolean;
  how: string;
}

/** What npm says when the registry cannot be reached. */
const unreachable =
  /ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONN\w+|ENETUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT|code E(403|407|5\d\d)/;

/**
 * Installs the tarball into a folder as a user does, by the versions of our lock file: from npm's cache, else from the registry; where
 * that cannot be reached, by hand, with our own copies of the dependencies.
 */
export async function installPackage(folder: string, tarball: string): Promise<Install> {
  const spec = `file:${tarball}`;
  const dependencies = { [manifest.name]: spec };
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, dependencies }));
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify(await lockFile(spec, dependencies)));
  for (const source of ['--offline', '--prefer-offline']) {
    const args = ['install', source, '--ignore-scripts', '--fetch-retries=1', '--fetch-retry-mintimeout=1000'];
    try {
      await program('npm', args, { cwd: folder });
      return { byNpm: true, how: `by npm install ${source} --ignore-scripts` };
    } catch (error) {
      if (!unreachable.test(String((error as { stderr?: string }).stderr))) throw error;
    }
  }
  await installByHand(folder, tarball);
  return { byNpm: false, how: "unpacked by hand beside links to this checkout's dependencies, for want of a registry" };
}

async function lockFile(spec: string, dependencies: Record<string, string>): Promise<object> {
  const { packages } = await readJson(join(root, 'package-lock.json'));
  const { version, dependencies: ours, bin } = manifest;
  const own = {
    '': { dependencies },
    [`node_modules/${manifest.name}`]: { version, resolved: spec, dependencies: ours, bin },
  };
  const theirs = Object.entries<{ dev?: boolean }>(packages).filter(([path, { dev }]) => path !== '' && !dev);
  return { name: 'consumer', lockfileVersion: 3, requires: true, packages: { ...own, ...Object.fromEntries(theirs) } };
}

async function installByHand(folder: string, tarball: string): Promise<void> {
  const modules = join(folder, 'node_modules');
  const place = join(modules, manifest.name);
  const commands = join(modules, '.bin');
  for (const each of [place, commands]) await mkdir(each, { recursive: true });
  await program('tar', ['-xzf', tarball, '-C', place, '--strip-components=1']);
  for (const name of await readdir(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) await symlink(join(root, 'node_modules', name), join(modules, name));
  }
  for (const [name, path] of Object.entries<string>(manifest.bin))
    await symlink(join(place, path), join(commands, name));
}

/** Puts a package of this checkout's own tools beside those of the folder, with what it needs. */
export async function borrow(folder: string, ...names: string[]): Promise<void> {
  for (const name of names) {
    const place = join(folder, 'node_modules', name);
    if (!existsSync(place)) await cp(join(root, 'node_modules', name), place, { recursive: true, dereference: true });
  }
}
