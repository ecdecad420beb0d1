import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { LibtorchVariant } from './inspect/libraries.ts';
import { installedVersion } from './version.ts';

/** The file in an installed LibTorch that says it is whole: written last, before the folder gets its name. */
export const markerFile = 'installed.json';

/** What the marker holds. */
export type InstallMarker = { version: string; variant: LibtorchVariant; source: string; sha256: string | null };

/** The folder shared by every project of this user: `DINOV3_DET_CACHE`, or the system's place for caches. */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env, platform: NodeJS.Platform = process.platform): string {
  if (env.DINOV3_DET_CACHE) return resolve(env.DINOV3_DET_CACHE);
  return join(systemCache(env, platform), 'dinov3-det');
}

function systemCache(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  if (platform === 'win32') return env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches');
  return env.XDG_CACHE_HOME || join(homedir(), '.cache');
}

/** The folder of one LibTorch in the cache, as `libtorch-2.13.0-cpu`. */
export function cacheFolder(version = installedVersion, variant: LibtorchVariant = 'cpu'): string {
  return join(cacheRoot(), `libtorch-${version.split('+')[0]}-${variant}`);
}
