/**
 * The parts of Electron that are used, by their structure. The package is not a dependency. Its module is imported only inside Electron, or
 * given as an option. Names and shapes are those of Electron's documentation.
 */

/** A process that `utilityProcess.fork` has started. */
export interface UtilityProcess {
  postMessage(message: unknown): void;
  /** Ends the process with SIGTERM or its equivalent. */
  kill(): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
}

/** `process.parentPort` in a utility process. */
export interface ParentPort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (event: { data: unknown }) => void): unknown;
}

/** The frame of a page that an IPC call came from. */
export interface WebFrame {
  url: string;
  parent: WebFrame | null;
}

/** The page of a window. */
export interface WebContents {
  id: number;
  once(event: 'destroyed', listener: () => void): unknown;
}

/** The event of a page's call. */
export interface IpcMainInvokeEvent {
  sender: WebContents;
  /** The frame of the call, or null if it has navigated away or is gone. */
  senderFrame: WebFrame | null;
}

/** The main process's side of the channels to pages. */
export interface IpcMain {
  handle(channel: string, listener: (event: IpcMainInvokeEvent, ...args: unknown[]) => unknown): void;
  removeHandler(channel: string): void;
}

/** The used part of the `electron` module in the main process. */
export interface ElectronMain {
  utilityProcess: {
    fork(
      modulePath: string,
      args?: string[],
      options?: { serviceName?: string; allowLoadingUnsignedLibraries?: boolean },
    ): UtilityProcess;
  };
  ipcMain: IpcMain;
}

/**
 * Imports the `electron` module of Electron's main process.
 * @throws {TypeError} outside of Electron, where the npm package `electron` is only the path of a program
 */
export async function electronMain(remedy: string): Promise<ElectronMain> {
  if (process.versions.electron === undefined) {
    throw new TypeError(`This needs Electron, but it runs in Node.js ${process.version}. ${remedy}`);
  }
  const name = 'electron'; // not a literal, because compilers and bundlers would look for the package
  return (await import(name)) as ElectronMain;
}
