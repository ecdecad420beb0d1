import { createRequire, syncBuiltinESMExports } from 'node:module';

/** The operations of node:fs/promises that change the disk. */
const CHANGING = ['mkdir', 'rename', 'rm', 'writeFile', 'link', 'copyFile', 'open'] as const;

type Operation = (...args: unknown[]) => Promise<unknown>;

/**
 * Runs `action` with a file system in which `fault` comes before each operation that changes it: what it throws is what the operation
 * answers with. Counts from 0.
 */
export async function withFaults<T>(
  fault: (index: number, name: string, args: unknown[]) => Promise<void> | void,
  action: () => Promise<T>,
): Promise<T> {
  const files = createRequire(import.meta.url)('node:fs/promises') as Record<string, Operation>;
  const real = Object.fromEntries(CHANGING.map((name) => [name, files[name]!]));
  let index = 0;
  for (const name of CHANGING) {
    files[name] = async (...args) => {
      const reads = name === 'open' && (args[1] === undefined || typeof args[1] === 'number' || args[1] === 'r');
      if (!reads) await fault(index++, name, args);
      return real[name]!(...args);
    };
  }
  syncBuiltinESMExports();
  try {
    return await action();
  } finally {
    Object.assign(files, real);
    syncBuiltinESMExports();
  }
}
