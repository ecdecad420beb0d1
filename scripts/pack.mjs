// `npm run pack`: the tarball that npm publishes, from a clean checkout: set-up, the addon of this platform, the checks.
// `--prebuilt`: with the addons that lie in prebuilds/, which must be those of every platform; LibTorch is not needed then.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { checkPackage } from './check-package.mjs';
import { prebuild } from './prebuild.mjs';
import { root, run } from './program.mjs';
import { main, setup } from './setup.mjs';

await main(async () => {
  const isPrebuilt = process.argv.includes('--prebuilt');
  await setup({ addon: !isPrebuilt });
  if (!isPrebuilt) await prebuild();
  const code = await run('npm', 'pack', '--ignore-scripts', '--silent');
  if (code !== 0) return code;
  const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return checkPackage(join(root, `${name}-${version}.tgz`), { everyPlatform: isPrebuilt });
});
