import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

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
