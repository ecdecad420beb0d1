import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The LibTorch that `install` fetches. */
export const installedVersion = '2.13.0';

/** The oldest and the newest LibTorch whose interface the sources are compiled against, as [major, minor]. */
const oldest = [2, 11] as const;
const newest = [2, 13] as const;

/** `2.11 to 2.13`, for messages. */
export const supportedVersions = `${oldest.join('.')} to ${newest.join('.')}`;

/** Whether sources of this package compile against LibTorch `version` (`2.13.0`, `2.11.0+cu130`, ...). */
export function isSupportedVersion(version: string): boolean {
  const [major, minor] = version.split('.').map((part) => Number.parseInt(part, 10));
  return major === oldest[0] && minor !== undefined && minor >= oldest[1] && minor <= newest[1];
}

/** `2.13` of `2.13.0+cpu`: LibTorch keeps its binary interface within a minor version only. */
export function minorVersion(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

/**
 * Where a LibTorch says which version it is, best first: a Python package in `version.py`, an official archive in
 * `build-version`, and every one in a header.
 */
const versionFiles: readonly { path: string; parse: (text: string) => string | undefined }[] = [
  { path: 'version.py', parse: (text) => /^__version__\s*=\s*['"]([^'"]+)['"]/m.exec(text)?.[1] },
  { path: 'build-version', parse: (text) => /^\d+\.\d+\S*/.exec(text.trim())?.[0] },
  { path: 'include/torch/headeronly/version.h', parse: parseVersionHeader },
  { path: 'include/torch/csrc/api/include/torch/version.h', parse: parseVersionHeader },
  { path: 'include/torch/version.h', parse: parseVersionHeader },
];

/** The version that a LibTorch states, with its local part (`2.13.0+cpu`), or undefined where it states none. */
export async function readVersion(read: (path: string) => Promise<string | undefined>): Promise<string | undefined> {
  for (const { path, parse } of versionFiles) {
    const text = await read(path);
    const version = text === undefined ? undefined : parse(text);
    if (version !== undefined) return version;
  }
  return undefined;
}

/** `readVersion` of an unpacked LibTorch. */
export function readVersionOfFolder(dir: string): Promise<string | undefined> {
  return readVersion((path) => readFile(join(dir, path), 'utf8').catch(() => undefined));
}

function parseVersionHeader(text: string): string | undefined {
  const parts = ['MAJOR', 'MINOR', 'PATCH'].map(
    (part) => new RegExp(`#define\\s+TORCH_VERSION_${part}\\s+(\\d+)`).exec(text)?.[1],
  );
  return parts.includes(undefined) ? undefined : parts.join('.');
}
