import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { DetectorError, messageOf } from '../base/errors.ts';
import { version } from '../base/version.ts';

/** What `dinov3-det bundle` makes, by path below its folder. */
export const bundlePaths = {
  /** Says that it is whole: written last. */
  manifest: 'bundle.json',
  addon: join('addon', 'dinov3_det.node'),
  loader: join('addon', 'loader', 'libtorch_loader.node'),
  libtorch: 'libtorch',
  licenses: 'licenses',
} as const;

/** The folder of a bundle in the resources of an app: electron-builder's `extraResources` puts it there. */
export const resourceFolder = 'dinov3-det';

/**
 * The bundle in the resources of a packaged Electron app, or undefined: outside of Electron, or where there is none.
 * @throws {DetectorError} `ADDON_LOAD_FAILED` for one that another version of this package made, or that is damaged
 */
export function findBundle(resources = (process as { resourcesPath?: string }).resourcesPath): string | undefined {
  if (resources === undefined) return undefined;
  const folder = join(resources, resourceFolder);
  const path = join(folder, bundlePaths.manifest);
  let made: unknown;
  try {
    made = (JSON.parse(readFileSync(path, 'utf8')) as { version?: unknown }).version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    made = messageOf(error);
  }
  if (made === version) return folder;
  throw new DetectorError(
    'ADDON_LOAD_FAILED',
    `${path} is not of dinov3-det ${version}: found ${made}. Make the bundle anew: npx dinov3-det bundle --out <dir>`,
  );
}

/**
 * Where a file of the package is for the system's loader: an archive of Electron has what cannot be loaded from inside of it in a
 * folder beside it.
 */
export function outsideAsar(path: string): string {
  return path.replace(/\.asar(?=[\\/])/, '.asar.unpacked');
}
