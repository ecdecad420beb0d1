import { cp, mkdir, readdir, realpath, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** `node_modules` of an app: a copy of this package as it is published, without addon, and what it depends on. */
export async function writeModules(app: string): Promise<void> {
  const modules = join(app, 'node_modules');
  await mkdir(modules, { recursive: true });
  for (const name of ['dist', 'package.json', 'LICENSE', 'docs/licenses']) {
    await cp(join(root, name), join(modules, 'dinov3-det', name), { recursive: true });
  }
  const installed = await realpath(join(root, 'node_modules'));
  for (const name of await readdir(installed)) await symlink(join(installed, name), join(modules, name));
}
