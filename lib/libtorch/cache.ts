import { join } from 'node:path';
import { cacheRoot } from '../files/cache-root.ts';
import type { LibtorchVariant } from './inspect/libraries.ts';
import { installedVersion } from './version.ts';

/** The file in an installed LibTorch that says it is whole: written last, before the folder gets its name. */
export const markerFile = 'installed.json';

/** What the marker holds. */
export type InstallMarker = { version: string; variant: LibtorchVariant; source: string; sha256: string | null };

/** The folder of one LibTorch in the cache, as `libtorch-2.13.0-cpu`. */
export function cacheFolder(version = installedVersion, variant: LibtorchVariant = 'cpu'): string {
  return join(cacheRoot(), `libtorch-${version.split('+')[0]}-${variant}`);
}
