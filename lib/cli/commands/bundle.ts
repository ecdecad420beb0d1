import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import {
  type BundleManifest,
  type BundleOptions,
  bundleArchitectures,
  bundlePlatforms,
  bundleRuntime,
} from '../../libtorch/bundle.ts';
import { bundlePaths, resourceFolder } from '../../libtorch/resources.ts';
import { interruptible } from '../interruption.ts';
import { createProgress, type Progress } from '../output/progress.ts';
import { alignColumns, thousands } from '../output/text.ts';
import { UsageError } from '../usage-error.ts';

interface Flags extends Pick<BundleOptions, 'platform' | 'arch' | 'variant' | 'from'> {
  out: string;
}

const examples = `
Examples:
  dinov3-det bundle --out build/${resourceFolder}
  dinov3-det bundle --out build/${resourceFolder} --variant cuda
  dinov3-det bundle --out build/${resourceFolder} --platform win32 --arch x64 --from libtorch-win-shared
A packaged Electron app finds the folder as "${resourceFolder}" in its resources: electron-builder's extraResources puts it there. LibTorch of
another platform is taken from --from or a cache that holds it, and nothing of it is run here.`;

/** `dinov3-det bundle`: collects the files that a packaged app needs. */
export function bundleCommand(): Command {
  return new Command('bundle')
    .description('collect addon, LibTorch and licences for a packaged Electron app')
    .requiredOption('--out <dir>', 'the folder to write; an earlier bundle in it is replaced')
    .addOption(new Option('--platform <name>', 'platform of the app (default: this one)').choices(bundlePlatforms))
    .addOption(new Option('--arch <name>', 'processor of the app (default: this one)').choices(bundleArchitectures))
    .addOption(
      new Option('--variant <name>', 'LibTorch build (default: the one that is found)').choices(['cpu', 'cuda']),
    )
    .option('--from <dir>', 'use this unpacked LibTorch')
    .addHelpText('after', examples)
    .action((flags: Flags) => interruptible('Stopping', (signal) => bundle(flags, signal)));
}

async function bundle({ out, ...options }: Flags, signal: AbortSignal): Promise<void> {
  await checkOut(out);
  let progress: Progress | undefined;
  const onBytes = (done: number, total: number) => {
    progress ??= createProgress({ total, unit: 'bytes', label: 'Copying' });
    progress.update(done);
  };
  try {
    const manifest = await bundleRuntime(out, { ...options, signal, onBytes });
    progress?.stop();
    console.log(describe(out, manifest));
  } finally {
    progress?.stop();
  }
}

/** Checks that the output folder is empty or holds an earlier bundle. @throws {UsageError} */
async function checkOut(out: string): Promise<void> {
  const entries = await readdir(out).catch((error: NodeJS.ErrnoException) => (error.code === 'ENOTDIR' ? [out] : []));
  if (entries.length === 0 || existsSync(join(out, bundlePaths.manifest))) return;
  throw new UsageError(
    `--out: ${out} is not empty and holds no ${bundlePaths.manifest}. Name a new or empty directory`,
  );
}

function describe(out: string, { files, libtorch, variant, platform, arch, system }: BundleManifest): string {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = [...files.map(({ path, bytes }) => [path, thousands(bytes)]), ['total', thousands(total)]];
  const needs = system.length === 0 ? [] : [`From the system: ${system.join(', ')}`];
  return [
    alignColumns(rows),
    ...needs,
    `${out}: LibTorch ${libtorch} (${variant}) for ${platform} ${arch}, ${thousands(total)} bytes`,
  ].join('\n');
}
