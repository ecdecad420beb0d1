import { existsSync } from 'node:fs';
import { DetectorError } from '../base/errors.ts';

/** The program that runs this one, with its version: Bun and Deno claim a version of Node.js too. */
export function describeRuntime(versions: NodeJS.ProcessVersions = process.versions): string {
  const own = (['bun', 'deno'] as const).find((name) => versions[name] !== undefined);
  if (own === undefined) return `v${versions.node}`;
  return `${own === 'bun' ? 'Bun' : 'Deno'} ${versions[own]}, as Node.js v${versions.node}`;
}

/** The dynamic loaders of musl, the C library of Alpine Linux. */
const muslLoaders = ['x86_64', 'aarch64'].map((arch) => `/lib/ld-musl-${arch}.so.1`);

/**
 * Refuses a system for which there is no LibTorch, before anything is downloaded or compiled for it.
 * @throws {DetectorError} `LIBTORCH_INCOMPATIBLE`
 */
export function checkSystem(platform: string = process.platform, exists: (path: string) => boolean = existsSync): void {
  const glibcLoaders = ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1'];
  if (platform !== 'linux' || !muslLoaders.some(exists) || glibcLoaders.some(exists)) return;
  throw new DetectorError(
    'LIBTORCH_INCOMPATIBLE',
    'LibTorch needs glibc, and this Linux has musl (Alpine). Use an image with glibc, for example node:24-bookworm-slim',
  );
}
