import { join } from 'node:path';
import { runProgram } from '../program.ts';
import type { LibtorchLocation } from './inspect.ts';
import { requiredLibraries } from './libraries.ts';

/**
 * Node.js itself opens any shared library: one that is no addon is refused only after the system's loader has resolved
 * every symbol of it (`RTLD_NOW`), with the words looked for here. No compiler and no Python are needed for the proof.
 */
const loadAll = `
const { RTLD_NOW = 1 } = require('node:os').constants.dlopen ?? {};
for (const path of process.argv.slice(1)) {
  try {
    process.dlopen({ exports: {} }, path, RTLD_NOW);
  } catch (error) {
    if (!/did not self-register/.test(error.message)) {
      process.stderr.write(error.message);
      process.exit(1);
    }
  }
}`;

/** Loads shared libraries, in this order, in a child process. @throws {Error} with the loader's words. */
export async function loadInChild(paths: readonly string[], signal?: AbortSignal): Promise<void> {
  await runProgram(process.execPath, ['-e', loadAll, ...paths], { signal, env: { ELECTRON_RUN_AS_NODE: '1' } });
}

/** Loads a LibTorch in a child process, so that a bad one cannot harm this one. */
export async function proveLibtorch({ lib, variant }: LibtorchLocation, signal?: AbortSignal): Promise<void> {
  await loadInChild(
    requiredLibraries(variant).map((file) => join(lib, file)),
    signal,
  );
}
