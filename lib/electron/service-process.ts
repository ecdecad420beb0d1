import { fork } from 'node:child_process';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { messageOf } from '../base/errors.ts';
import type { ElectronMain } from './electron.ts';
import type { Reply, Request } from './protocol.ts';

/** The process or thread of the detectors, as its host sees it. */
export interface ServiceProcess {
  /** Sends a message. @throws if the message cannot be cloned */
  post(request: Request): void;
  onMessage(listener: (reply: Reply) => void): void;
  /** Registers a listener for the end of the process, such as "exit code 1" or "signal SIGKILL". It is called once. */
  onExit(listener: (ending: string) => void): void;
  /** Ends the process at once. */
  kill(): void;
  /** Sets whether the process keeps the host's process alive. */
  setRef(isNeeded: boolean): void;
}

/** Starts a utility process of Electron. It ends with the app, and does not keep the app alive. */
export function utilityProcess(
  { utilityProcess }: Pick<ElectronMain, 'utilityProcess'>,
  program: string,
): ServiceProcess {
  const options = { serviceName: 'dinov3-det', allowLoadingUnsignedLibraries: true };
  const child = utilityProcess.fork(program, [], options);
  return {
    post: (request) => child.postMessage(request),
    onMessage: (listener) => child.on('message', (message) => listener(message as Reply)),
    onExit: (listener) => child.on('exit', (code) => listener(`exit code ${code}`)),
    kill: () => child.kill(),
    setRef: () => {},
  };
}

/** Starts a process of Node.js. */
export function childProcess(program: string, execArgv: string[] = process.execArgv): ServiceProcess {
  const child = fork(program, { serialization: 'advanced', execArgv });
  return {
    post: (request) => {
      if (child.connected) child.send(request, () => {});
    },
    onMessage: (listener) => child.on('message', (message) => listener(message as Reply)),
    onExit: (listener) => {
      child.on('exit', (code, signal) => listener(signal === null ? `exit code ${code}` : `signal ${signal}`));
      // A process that never started has no `exit`. For any other, `exit` is enough.
      child.on('error', (error) => child.pid === undefined && listener(messageOf(error)));
    },
    kill: () => child.kill('SIGKILL'),
    setRef: (isNeeded) => {
      if (isNeeded) child.ref();
      else child.unref();
      // A listener for messages makes the channel count as well.
      const channel = child.channel as { ref?: () => void; unref?: () => void } | null | undefined;
      if (isNeeded) channel?.ref?.();
      else channel?.unref?.();
    },
  };
}

/** Starts a thread of this process. A crash of native code ends both. */
export function workerThread(program: string | URL, options?: WorkerOptions): ServiceProcess {
  const worker = new Worker(program, options);
  let reason = '';
  worker.on('error', (error) => {
    reason = `: ${messageOf(error)}`;
  });
  return {
    post: (request) => worker.postMessage(request),
    onMessage: (listener) => worker.on('message', listener),
    onExit: (listener) => worker.on('exit', (code) => listener(`exit code ${code}${reason}`)),
    kill: () => void worker.terminate(),
    setRef: (isNeeded) => {
      if (isNeeded) worker.ref();
      else worker.unref();
    },
  };
}
