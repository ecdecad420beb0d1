/** Whether kernels for NVIDIA GPUs are in it. */
export type LibtorchVariant = 'cpu' | 'cuda';

/** The file name of a library: `c10` is `libc10.so`, `libc10.dylib` or `c10.dll`. */
export function libraryFile(name: string, platform: NodeJS.Platform = process.platform): string {
  if (platform === 'win32') return `${name}.dll`;
  return `lib${name}${platform === 'darwin' ? '.dylib' : '.so'}`;
}

/**
 * The libraries to load, in the order of their dependencies. What else is needed (OpenMP, NVIDIA's) lies where their
 * own run paths say; `torch_cuda_linalg` is loaded by LibTorch itself when it is first used.
 */
export function requiredLibraries(variant: LibtorchVariant, platform: NodeJS.Platform = process.platform): string[] {
  const names =
    variant === 'cuda' ? ['c10', 'c10_cuda', 'torch_cpu', 'torch_cuda', 'torch'] : ['c10', 'torch_cpu', 'torch'];
  return names.map((name) => libraryFile(name, platform));
}

/** Parts of LibTorch that only Python or its own tests use. */
const unneeded = /python|test|shm|aoti_custom_ops|backend_with_compiler/;
const library = /\.(so(\.\d+)*|dylib|dll|lib)$/;
const wantedFolders = /^(include|share\/cmake)\/./;

/** Whether a file, by its path in the LibTorch folder, is needed to run or to compile against it. */
export function isWanted(path: string): boolean {
  if (wantedFolders.test(path) || path === 'version.py' || path === 'build-version') return true;
  const [folder, file, ...deeper] = path.split('/');
  return folder === 'lib' && file !== undefined && deeper.length === 0 && library.test(file) && !unneeded.test(file);
}
