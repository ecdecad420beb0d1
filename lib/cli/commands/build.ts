import { Command } from 'commander';

import { buildAddon } from '../../libtorch/build.ts';
import { addonPath } from '../../libtorch/load.ts';

const examples = `
Examples:
  dinov3-det build                                        for the LibTorch that dinov3-det doctor names
It needs a C++20 compiler and CMake 3.18, and takes a few minutes. What it makes lies in the package itself: to be done again
when npm has installed that anew.`;

/** `dinov3-det build`: compiles the addon if there is no prebuilt one for the platform or the LibTorch version. */
export function buildCommand(): Command {
  return new Command('build')
    .description('compile the addon for a platform or LibTorch version without a prebuilt one')
    .addHelpText('after', examples)
    .action(async () => {
      await buildAddon({ onLine: (line) => console.error(line) });
      console.log(`Built ${addonPath()}`);
    });
}
