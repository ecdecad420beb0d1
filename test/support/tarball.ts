import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { withLock } from '../../lib/libtorch/install/lock.ts';

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

/**
 * Installs the tarball into a folder as a user does, but from npm's cache, by the versions of our lock file; where the cache does
 * not have them, by hand, with our own copies of the dependencies. Says which.
 */
export async function installPackage(folder: string, tarball: string): Promise<string> {
  const spec = `file:${tarball}`;
  const dependencies = { [manifest.name]: spec };
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, dependencies }));
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify(await lockFile(spec, dependencies)));
  try {
    await program('npm', ['install', '--offline', '--ignore-scripts'], { cwd: folder });
    return 'by npm install --offline --ignore-scripts';
  } catch (error) {
    if (!/ENOTCACHED/.test(String((error as { stderr?: string }).stderr))) throw error;
    await installByHand(folder, tarball);
    return "unpacked by hand beside links to this checkout's dependencies, which npm's cache does not have";
  }
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
