import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../lib/base/package-files.ts';
import { findLibtorch } from '../../lib/libtorch/find.ts';
import { temporaryFolder } from '../support/voc.ts';

const hasNinja = spawnSync('ninja', ['--version']).status === 0 && spawnSync('cmake', ['--version']).status === 0;

describe('CMakeLists.txt', () => {
  it.skipIf(!hasNinja)(
    'puts the addons where Node.js looks with a generator of several configurations, as on Windows (skipped without CMake and Ninja)',
    async () => {
      const [build, addons] = [await temporaryFolder(), await temporaryFolder()];
      const { dir } = await findLibtorch();
      const configure = ['-G', 'Ninja Multi-Config', '-S', packageRoot, '-B', build];
      const run = spawnSync('cmake', [...configure, `-DLIBTORCH_DIR=${dir}`, `-DADDON_DIR=${addons}`], {
        encoding: 'utf8',
      });
      expect(run.status, run.stderr).toBe(0);
      for (const kind of ['Release', 'Debug']) {
        const rules = await readFile(join(build, 'CMakeFiles', `impl-${kind}.ninja`), 'utf8');
        const outputs = [...rules.matchAll(/^build (\S+\.node)[ :]/gm)].map(([, path]) => path);
        expect(new Set(outputs)).toEqual(
          new Set([join(addons, 'dinov3_det.node'), join(addons, 'loader', 'libtorch_loader.node')]),
        );
      }
    },
    60_000,
  );
});
