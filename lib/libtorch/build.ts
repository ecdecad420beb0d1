import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { DetectorError, messageOf } from '../base/errors.ts';
import { packageRoot } from '../base/package-files.ts';
import { findLibtorch, type LibtorchLocation } from './find.ts';
import { exists } from './inspect/inspect.ts';
import { runProgram } from './program.ts';
import { checkSystem } from './runtime.ts';

/**
 * `release`, what is shipped; `debug`, without optimisation and with symbols; `asan`, which stops at the first wrong access to memory.
 * The last two are for who works on `native/`.
 */
export type BuildKind = 'release' | 'debug' | 'asan';

export type BuildOptions = {
  /** Default: the one that `findLibtorch` finds. */
  libtorch?: LibtorchLocation;
  /** Build the test addon too. Default false. */
  tests?: boolean;
  /** Each kind is compiled in a folder of its own, and ends in `build/Release`. Default `release`. */
  kind?: BuildKind;
  /** Called with each line that CMake and the compiler say. */
  onLine?: (line: string) => void;
};

/**
 * Compiles the addon against a LibTorch with CMake, into `build/Release` of this package; only what changed.
 * @throws {DetectorError} `ADDON_LOAD_FAILED` naming a missing tool, or with the end of the compiler's words.
 */
export async function buildAddon(options: BuildOptions = {}): Promise<void> {
  const { libtorch = await findLibtorch(), tests = false, kind = 'release', onLine } = options;
  await checkTools(libtorch);
  const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
  const parameters = [
    '--directory',
    packageRoot,
    '--config',
    kind === 'release' ? 'Release' : 'Debug',
    ...(kind === 'release'
      ? []
      : ['--out', join(packageRoot, 'build', kind), `--CDADDON_DIR=${join(packageRoot, 'build', 'Release')}`]),
    '--parallel',
    String(availableParallelism()),
    `--CDLIBTORCH_DIR=${libtorch.dir}`,
    `--CDDINOV3_DET_TESTS=${tests ? 'ON' : 'OFF'}`,
    `--CDDINOV3_DET_ASAN=${kind === 'asan' ? 'ON' : 'OFF'}`,
  ];
  for (const step of ['configure', 'build']) {
    await runProgram(process.execPath, [cmakeJs, step, ...parameters], onLine ? { onLine } : {}).catch((error) => {
      throw new DetectorError('ADDON_LOAD_FAILED', `The addon was not built: ${messageOf(error)}`, { cause: error });
    });
  }
}

async function checkTools({ dir }: LibtorchLocation): Promise<void> {
  checkSystem();
  if (!(await exists(join(dir, 'include')))) {
    throw new DetectorError('ADDON_LOAD_FAILED', `${dir} has no include/: building needs the headers of LibTorch`);
  }
  await runProgram('cmake', ['--version']).catch((error) => {
    throw missingTool('CMake 3.18 or newer', 'cmake', error);
  });
  if (process.platform === 'win32') return; // CMake finds Visual Studio, which is not on PATH
  const compiler = process.env.CXX ?? 'c++';
  await runProgram(compiler, ['--version']).catch((error) => {
    throw missingTool('A C++20 compiler', 'g++', error);
  });
}

function missingTool(what: string, debianPackage: string, cause: Error): DetectorError {
  return new DetectorError(
    'ADDON_LOAD_FAILED',
    `${what} is needed to build the addon: ${cause.message}. On Debian or Ubuntu: sudo apt install ${debianPackage}; ` +
      'on macOS: xcode-select --install, brew install cmake; on Windows: Visual Studio with C++ and CMake',
    { cause },
  );
}
