import { Command, Option } from 'commander';

import { type InstallOptions, installLibtorch, planInstall } from '../../libtorch/install/install.ts';
import { gigabytes } from '../../libtorch/install/unpack.ts';
import { interruptedBy, interruptible } from '../interruption.ts';
import { showInstallProgress } from '../output/install-progress.ts';

type Flags = { cpu?: true; cuda?: true; from?: string; dryRun?: true };

const examples = `
Examples:
  dinov3-det install                                      the CPU build, from PyTorch's index or through pip
  dinov3-det install --cuda                               the CUDA build, with NVIDIA's libraries in it
  dinov3-det install --from libtorch.zip                  an archive, a wheel or a folder that is already here
  dinov3-det install --dry-run                            print the steps without installing
Nothing needs to be installed where LIBTORCH names a folder, or LIBTORCH_USE_PYTORCH=1 the torch of python3.`;

/** `dinov3-det install`: installs LibTorch into the user's cache. */
export function installCommand(): Command {
  return new Command('install')
    .description('install LibTorch into the cache of this user')
    .addOption(new Option('--cpu', 'the CPU build (default)').conflicts('cuda'))
    .option('--cuda', 'the CUDA build')
    .option('--from <path>', 'use an unpacked LibTorch or torch package, or its .zip or .whl')
    .option('--dry-run', 'print the steps without installing')
    .addHelpText('after', examples)
    .action(async ({ cpu, cuda, from, dryRun }: Flags) => {
      const options: InstallOptions = {
        ...(cuda ? { variant: 'cuda' as const } : cpu ? { variant: 'cpu' as const } : {}),
        ...(from === undefined ? {} : { from }),
      };
      const done = dryRun ? planText(options) : interruptible('Stopping', (signal) => install(options, signal));
      console.log(await done);
    });
}

async function planText(options: InstallOptions): Promise<string> {
  const plan = await planInstall(options);
  if (plan.isInstalled) return `Already installed: ${plan.target}`;
  return [
    `Would install LibTorch (${plan.variant}) into ${plan.target}`,
    `Disk space needed: ${gigabytes(plan.neededBytes)}`,
    'From the first of these that works:',
    ...plan.sources.map((source) => `  - ${source}`),
  ].join('\n');
}

/** A signal removes what is half done. */
async function install(options: InstallOptions, signal: AbortSignal): Promise<string> {
  const progress = showInstallProgress();
  const onWait = (pid: number) => console.error(`Waiting for the install of process ${pid}`);
  try {
    const { onProgress } = progress;
    const { version, variant, dir } = await installLibtorch({ ...options, signal, onProgress, onWait });
    return `LibTorch ${version} (${variant}) is installed in ${dir}`;
  } catch (error) {
    if (!signal.aborted) throw error;
    throw interruptedBy(signal, 'Interrupted: nothing was installed');
  } finally {
    progress.stop();
  }
}
