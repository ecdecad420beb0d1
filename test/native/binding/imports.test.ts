import { execFileSync, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';

import { addonPath } from '../../../lib/libtorch/load.ts';

const hasNm = process.platform !== 'win32' && spawnSync('nm', ['--version']).status === 0;

/**
 * Electron's V8 allows no ArrayBuffer outside of its own memory. NODE_API_NO_EXTERNAL_BUFFERS_ALLOWED (CMakeLists.txt) keeps
 * node-addon-api from offering any; this looks at what was built.
 */
it.skipIf(!hasNm)('the addons import no function that makes an external buffer (skipped where nm is missing)', () => {
  const loader = join(dirname(addonPath()), 'loader', 'libtorch_loader.node');
  for (const path of [addonPath(), loader]) {
    const args = process.platform === 'darwin' ? ['-u', path] : ['-D', '--undefined-only', path];
    const symbols = execFileSync('nm', args, { encoding: 'utf8', maxBuffer: 2 ** 26 }).match(/\bn(ode_)?api_\w+/g);
    expect(symbols).toContain('napi_create_function');
    expect(symbols!.filter((symbol) => /external_(array)?buffer/.test(symbol))).toEqual([]);
  }
});
