import { parentPort } from 'node:worker_threads';
import type { ParentPort } from './electron.ts';
import type { Request } from './protocol.ts';
import { type ServicePort, serveDetectors } from './service.ts';

/** The program of the process with the detectors: a utility process of Electron, a worker thread, or a child of Node.js. */

const { parentPort: utilityPort } = process as { parentPort?: ParentPort };

serveDetectors(choosePort());

function choosePort(): ServicePort {
  if (utilityPort !== undefined) {
    return {
      post: (reply) => utilityPort.postMessage(reply),
      onMessage: (listener) => utilityPort.on('message', ({ data }) => listener(data as Request)),
    };
  }
  if (parentPort !== null) {
    const port = parentPort;
    return {
      post: (reply) => port.postMessage(reply),
      onMessage: (listener) => port.on('message', listener),
    };
  }
  if (process.send === undefined) throw new Error('Only createDetectorHost may start this program');
  process.once('disconnect', () => process.exit()); // the host has ended, so no work is left
  return {
    post: (reply) => process.send?.(reply),
    onMessage: (listener) => process.on('message', (message) => listener(message as Request)),
  };
}
