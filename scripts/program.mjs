import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this checkout. */
export const root = fileURLToPath(new URL('..', import.meta.url));

const isWindows = process.platform === 'win32';

/** Runs a program in the checkout, its output shown, and gives its exit code (128 + n after a signal, as shells do). */
export const run = (command, ...args) => runIn(root, command, ...args);

/** The same in another folder. */
export function runIn(cwd, command, ...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: 'inherit', shell: isWindows && !/\.exe$/.test(command) });
    // Ctrl-C reaches the child too: it ends in its own way, and then we do.
    const wait = () => {};
    process.on('SIGINT', wait);
    child.on('error', (error) =>
      reject(error.code === 'ENOENT' ? new Error(`${command} is needed and was not found on PATH`) : error),
    );
    child.on('close', (code, signal) => {
      process.removeListener('SIGINT', wait);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143));
    });
  });
}

/** The path of a command of an npm package of this checkout. */
export function tool(name) {
  return join(root, 'node_modules', '.bin', name);
}
