import { fork } from 'node:child_process';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { messageOf } from '../base/errors.ts';
import type { ElectronMain } from './electron.ts';
import type { Reply, Request } from './protocol.ts';

/** The process or thread with the detectors, as its host sees it. */
export interface ServiceProcess {
  /** @throws when the message cannot be cloned */
  post(request: Request): void;
  onMessage(listener: (reply: Reply) => void): void;
  /** Called once, with how it ended: "exit code 1", "signal SIGKILL". */
  onExit(listener: (ending: string) => void): void;
  /** Ends it at once. */
  kill(): void;
  /** Whether it keeps the host's process from ending. */
  setRef(isNeeded: boolean): void;
}

/** A utility process of Electron. Electron ends it with the app, and it does not keep the app from ending. */
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

/** A process of Node.js. */
export function childProcess(program: string, execArgv: string[] = process.execArgv): ServiceProcess {
  const child = fork(program, { serialization: 'advanced', execArgv });
  return {
    post: (request) => {
      if (child.connected) child.send(request, () => {});
    },
    onMessage: (listener) => child.on('message', (message) => listener(message as Reply)),
    onExit: (listener) => {
      child.on('exit', (code, signal) => listener(signal === null ? `exit code ${code}` : `signal ${signal}`));
      // Of one that never started there is no `exit`; of another, `exit` tells what there is to tell.
      child.on('error', (error) => child.pid === undefined && listener(messageOf(error)));
    },
    kill: () => child.kill('SIGKILL'),
    setRef: (isNeeded) => {
      if (isNeeded) child.ref();
      else child.unref();
      // With a listener for messages, the channel counts as well.
      const channel = child.channel as { ref?: () => void; unref?: () => void } | null | undefined;
      if (isNeeded) channel?.ref?.();
      else channel?.unref?.();
    },
  };
}

/** A thread of this process: it cannot be killed by a crash alone, a crash of native code ends them both. */
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
