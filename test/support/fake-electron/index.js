// As much of Electron as examples/electron/main.js uses, on Node.js: the utility process is a child whose `process.parentPort` is its
// IPC channel, and a window is its preload script, run with a `require` that knows Electron alone. What was asked of it is printed.
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const versions = { ...process.versions, electron: '0.0.0' };
Object.defineProperty(process, 'versions', { value: versions });

const handlers = new Map();
const children = [];

export const app = {
  isPackaged: false,
  on: () => {},
  whenReady: async () => {},
  exit: (code) => process.exit(code),
};
export const dialog = { showErrorBox: (title, text) => console.log(JSON.stringify({ title, text })) };
export const session = { defaultSession: { setPermissionRequestHandler: () => {} } };

export const ipcMain = {
  handle: (channel, handler) => handlers.set(channel, handler),
  removeHandler: (channel) => handlers.delete(channel),
};

export const utilityProcess = {
  fork(program, args, options) {
    const shim = fileURLToPath(new URL('./parent-port.js', import.meta.url));
    const child = fork(program, args, { serialization: 'advanced', execArgv: ['--import', shim] });
    children.push({ child, options });
    return {
      postMessage: (message) => child.send(message),
      kill: () => child.kill(),
      on: (event, listener) => child.on(event, listener),
    };
  },
};

export class BrowserWindow {
  static getAllWindows = () => [];

  constructor(options) {
    this.options = options;
  }

  removeMenu() {}

  /** The page that is loaded here asks for what the command line names, and the app ends. */
  async loadFile(path) {
    const { preload, ...preferences } = this.options.webPreferences;
    const page = {};
    const invoke = (channel, request) => {
      const event = { sender: { id: 1, once: () => {} }, senderFrame: { url: `file://${path}`, parent: null } };
      return handlers.get(channel)(event, structuredClone(request));
    };
    const contextBridge = { exposeInMainWorld: (name, api) => Object.assign(page, { [name]: api }) };
    const require = () => ({ contextBridge, ipcRenderer: { invoke } });
    new Function('require', 'exports', readFileSync(preload, 'utf8'))(require, {});
    const reply = await page.dinov3Detector.detect(readFileSync(process.argv[3]), { scoreThreshold: 0 });
    console.log(JSON.stringify({ path, preferences, reply, processes: children.length, options: children[0].options }));
    for (const { child } of children) child.kill();
    process.exit(0);
  }
}
