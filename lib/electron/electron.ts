/**
 * What is used of Electron, by its structure: the package is no dependency, and the module is taken only where it runs, or as an
 * option. Names and shapes are those of Electron's documentation.
 */

/** A process that `utilityProcess.fork` started. */
export interface UtilityProcess {
  postMessage(message: unknown): void;
  /** SIGTERM, or its like. */
  kill(): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
}

/** `process.parentPort` in a utility process. */
export interface ParentPort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (event: { data: unknown }) => void): unknown;
}

/** The part of a page that an IPC call came from. */
export interface WebFrame {
  url: string;
  parent: WebFrame | null;
}

/** The page of a window. */
export interface WebContents {
  id: number;
  once(event: 'destroyed', listener: () => void): unknown;
}

/** A call of a page. */
export interface IpcMainInvokeEvent {
  sender: WebContents;
  /** Null when the frame has navigated away or is gone. */
  senderFrame: WebFrame | null;
}

/** The main process's end of the channels to pages. */
export interface IpcMain {
  handle(channel: string, listener: (event: IpcMainInvokeEvent, ...args: unknown[]) => unknown): void;
  removeHandler(channel: string): void;
}

/** The part of the `electron` module of the main process that is used. */
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
 * The `electron` module of Electron's main process.
 * @throws {TypeError} elsewhere: there the npm package `electron`, if it is installed, is only the path of a program
 */
export async function electronMain(remedy: string): Promise<ElectronMain> {
  if (process.versions.electron === undefined) {
    throw new TypeError(`Electron is needed for this, and this is Node.js ${process.version}. ${remedy}`);
  }
  const name = 'electron'; // no literal: compilers and bundlers would look for the package
  return (await import(name)) as ElectronMain;
}
