import { fileURLToPath } from 'node:url';
import { DetectorHost, type RestartPolicy } from '../../../lib/electron/host.ts';
import { childProcess, type ServiceProcess, workerThread } from '../../../lib/electron/service-process.ts';

const program = new URL('../../../lib/electron/service-main.ts', import.meta.url);

/** Node 20 takes no TypeScript file for a worker's, whatever its loader: the worker registers its own. */
function startWorker(): ServiceProcess {
  const code = `import('${import.meta.resolve('tsx/esm/api')}').then(({ register }) => { register(); return import('${program}'); })`;
  return workerThread(code, { eval: true });
}

export const launchers = {
  'a child process': () => childProcess(fileURLToPath(program), ['--import', import.meta.resolve('tsx')]),
  'a worker thread': startWorker,
};

/** A host on the sources, and the processes that it started so far. */
export function hostOn(kind: keyof typeof launchers, policy: RestartPolicy = {}) {
  const started: ServiceProcess[] = [];
  const host = new DetectorHost(() => {
    const service = launchers[kind]();
    started.push(service);
    return service;
  }, policy);
  return { host, started };
}
