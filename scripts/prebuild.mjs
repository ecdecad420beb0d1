// `npm run prebuild`: set-up, then the addon of this platform as the package carries it, in prebuilds/.
// prebuildify names and strips it. What it would run node-gyp for, CMake has done: it gets this file, which hands that over.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { root } from './program.mjs';
import { main, setup } from './setup.mjs';

const self = fileURLToPath(import.meta.url);

/** Puts the addon that set-up has built, and the loader beside it, into `prebuilds/<platform>-<arch>/`. */
export async function prebuild() {
  const { default: prebuildify } = await import('prebuildify'); // not there before set-up
  const staging = mkdtempSync(join(tmpdir(), 'dinov3-det-prebuild-'));
  try {
    cpSync(join(root, 'build', 'Release', 'loader'), join(staging, 'artifacts', 'loader'), { recursive: true });
    await promisify(prebuildify)({
      name: 'node.napi', // any Node.js and Electron that has Node-API 8
      napi: true,
      tagLibc: process.platform === 'linux',
      strip: true,
      cwd: staging,
      cache: join(staging, 'cache'),
      artifacts: join(staging, 'artifacts'),
      out: root,
      nodeGyp: `"${process.execPath}" "${self}" --hand-over`,
      shell: true,
    });
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** In the folder where prebuildify looks for what node-gyp built. */
function handOver() {
  cpSync(join(root, 'build', 'Release', 'dinov3_det.node'), join('build', 'Release', 'dinov3_det.node'));
}

if (process.argv[1] === self) {
  if (process.argv.includes('--hand-over')) handOver();
  else {
    await main(async () => {
      await setup();
      await prebuild();
    });
  }
}
