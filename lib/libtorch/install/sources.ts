import { join } from 'node:path';
import type { LibtorchVariant } from '../inspect/libraries.ts';
import { python } from '../program.ts';
import { installedVersion } from '../version.ts';
import { download, fetchText, pipDownload, sha256Of, type TransferOptions } from './download.ts';

/** Somewhere an archive (zip or wheel) of LibTorch can be had from. */
export type LibtorchArchiveSource = {
  /** For people, in messages and in the marker. */
  name: string;
  /** Fetches the archive into an empty folder. */
  fetch: (folder: string, options: TransferOptions) => Promise<{ path: string; sha256: string }>;
};

const site = 'https://download.pytorch.org';
const cudaTag = 'cu130';

/** Bytes that an install needs on the disk at its peak: the archive and what is unpacked of it. */
export const neededBytes: Readonly<Record<LibtorchVariant, number>> = { cpu: 0.8e9, cuda: 12e9 };

/** The sources of a variant, best first: the official one with its published hash, then pip, which checks hashes itself. */
export function archiveSources(variant: LibtorchVariant): LibtorchArchiveSource[] {
  if (variant === 'cuda') return [officialArchive()];
  return [
    officialWheel(),
    pipSource(['--index-url', `${site}/whl/cpu`, '--retries', '1', '--timeout', '15']),
    pipSource([]),
    // The libraries inside do not depend on the Python of the tag: one that is too old or too new for torch will do.
    pipSource(['--python-version', '3.12']),
  ];
}

/** PyTorch's own CPU index: the only official place with published hashes. */
function officialWheel(): LibtorchArchiveSource {
  const index = `${site}/whl/cpu/torch/`;
  return {
    name: index,
    fetch: async (folder, options) => {
      const wheel = findWheel(await fetchText(index, options.signal), index);
      if (wheel === undefined) {
        throw new Error(`${index} lists no wheel of ${installedVersion} for ${process.platform} ${process.arch}`);
      }
      const path = join(folder, 'torch.whl');
      return { path, sha256: await download(wheel.url, path, { ...options, sha256: wheel.sha256 }) };
    },
  };
}

/** The official archive with NVIDIA's libraries in it (a CUDA wheel has them in others). No hash of it is published. */
function officialArchive(): LibtorchArchiveSource {
  const kind = process.platform === 'win32' ? 'win-shared-with-deps' : 'shared-with-deps';
  const url = `${site}/libtorch/${cudaTag}/libtorch-${kind}-${installedVersion}%2B${cudaTag}.zip`;
  return {
    name: url,
    fetch: async (folder, options) => {
      const path = join(folder, 'libtorch.zip');
      return { path, sha256: await download(url, path, options) };
    },
  };
}

function pipSource(pipOptions: readonly string[]): LibtorchArchiveSource {
  const requirement = `torch==${installedVersion}`;
  return {
    name: [python, '-m pip download --no-deps', ...pipOptions, requirement].join(' '),
    fetch: async (folder, options) => {
      const path = await pipDownload(requirement, folder, pipOptions, options);
      return { path, sha256: await sha256Of(path) };
    },
  };
}

const platformTags: Readonly<Record<string, RegExp>> = {
  'linux-x64': /-manylinux\w*_x86_64\.whl$/,
  'linux-arm64': /-manylinux\w*_aarch64\.whl$/,
  'darwin-arm64': /-macosx_\w*_arm64\.whl$/,
  'win32-x64': /-win_amd64\.whl$/,
};

/** The wheel of `installedVersion` for this platform in a page of a package index (PEP 503), with its published hash. */
export function findWheel(
  page: string,
  base: string,
  platform = `${process.platform}-${process.arch}`,
): { url: string; sha256: string } | undefined {
  for (const [, href, sha256] of page.matchAll(/href="([^"#]+\.whl)#sha256=([0-9a-f]{64})"/g)) {
    const url = new URL(href!, base);
    const name = decodeURIComponent(url.pathname.split('/').pop()!);
    const isVersion =
      name.startsWith(`torch-${installedVersion}-`) || name.startsWith(`torch-${installedVersion}+cpu-`);
    if (isVersion && platformTags[platform]?.test(name)) return { url: url.href, sha256: sha256! };
  }
  return undefined;
}
