import { setTimeout as delay } from 'node:timers/promises';
import { checkInteger, checkKeys, checkOneOf } from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import { programFile } from '../base/package-files.ts';
import type { DetectorOptions, LoadOptions } from '../detector/detector-options.ts';
import type { OnnxLoadOptions } from '../inference/onnx-detector.ts';
import { Connection } from './connection.ts';
import { type ElectronMain, electronMain } from './electron.ts';
import { HostedDetector } from './hosted-detector.ts';
import type { DetectorSource } from './protocol.ts';
import { childProcess, type ServiceProcess, utilityProcess, workerThread } from './service-process.ts';

/** What is done when the process of the detectors ends by itself. */
export interface RestartPolicy {
  /** How often the process is started again in a row, without a call between that it answered; default 5. */
  restartLimit?: number;
  /** Milliseconds from its end to the first restart; doubled with every further one in a row, up to 30 s; default 250. */
  restartDelay?: number;
}

/** Where a host keeps its detectors, and how it comes back from their crashes; nothing is required. */
export interface DetectorHostOptions extends RestartPolicy {
  /**
   * Where the detectors are: `utility` (default), a utility process of Electron; `child`, a process of Node.js; or `worker`, a thread
   * of this process, which does not survive a crash of native code.
   */
  process?: 'utility' | 'child' | 'worker';
  /**
   * What computes: `libtorch`; or `onnx`, onnxruntime-node, for which LibTorch and the addon need not be there. `load` takes the file
   * of an ONNX export then, and `create` and `save` have nothing to work on.
   * @default 'libtorch'
   */
  backend?: 'libtorch' | 'onnx';
  /** The `electron` module, for `utility`; default: the one of this process. */
  electron?: Pick<ElectronMain, 'utilityProcess'>;
}

const LONGEST_DELAY_MS = 30_000;

const processKinds = ['utility', 'child', 'worker'] as const;
const backends = ['libtorch', 'onnx'] as const;
type Backend = (typeof backends)[number];

/**
 * Detectors in a process of their own, behind the interface of `Detector`: a crash of native code or memory that runs out ends that
 * process and not the app.
 * @throws {TypeError} outside of Electron, unless `process` names another kind
 */
export async function createDetectorHost(options: DetectorHostOptions = {}): Promise<DetectorHost> {
  const keys = ['process', 'backend', 'electron', 'restartLimit', 'restartDelay'];
  const given = checkKeys('options', options, keys) as DetectorHostOptions;
  const { process: kind = 'utility', backend = 'libtorch', electron, ...policy } = given;
  checkOneOf('process', kind, processKinds);
  checkOneOf('backend', backend, backends);
  const program = programFile('electron/service-main');
  if (kind === 'child') return new DetectorHost(() => childProcess(program), policy, backend);
  if (kind === 'worker') return new DetectorHost(() => workerThread(program), policy, backend);
  const module = electron ?? (await electronMain("Outside of Electron, give createDetectorHost({ process: 'child' })"));
  return new DetectorHost(() => utilityProcess(module, program), policy, backend);
}

/** Starts the process with the detectors when it is first needed, and again when it has ended. */
export class DetectorHost {
  readonly #launch: () => ServiceProcess;
  readonly #backend: Backend;
  readonly #policy: Required<RestartPolicy>;
  #connection: Connection | undefined;
  #starting: Promise<Connection> | undefined;
  #closing: Promise<void> | undefined;
  /** How the process ended since its last answer, one text for each time. */
  #endings: string[] = [];
  #startAt = 0;

  /** @internal `launch` starts a process with the program `service-main`. */
  constructor(
    launch: () => ServiceProcess,
    { restartLimit = 5, restartDelay = 250 }: RestartPolicy = {},
    backend: Backend = 'libtorch',
  ) {
    this.#launch = launch;
    this.#backend = backend;
    this.#policy = {
      restartLimit: checkInteger('restartLimit', restartLimit, 0, 1000),
      restartDelay: checkInteger('restartDelay', restartDelay, 0, LONGEST_DELAY_MS),
    };
  }

  /** As `Detector.load`, in the process; with the backend `onnx` as `OnnxDetector.load`. */
  load(path: string, options?: LoadOptions | OnnxLoadOptions): Promise<HostedDetector> {
    const source: DetectorSource =
      this.#backend === 'onnx'
        ? { onnx: path, options: options as OnnxLoadOptions | undefined }
        : { load: path, options: options as LoadOptions | undefined };
    return HostedDetector.open(source, () => this.#connect());
  }

  /** As `Detector.create`, in the process. A restart makes the same again: give `weights`, or load a checkpoint. */
  async create(options: DetectorOptions): Promise<HostedDetector> {
    if (this.#backend === 'onnx') {
      throw new RangeError(
        'Expected the backend libtorch for create, found onnx, which only runs what was exported. Use load with a file of dinov3-det ' +
          'export --format onnx',
      );
    }
    return await HostedDetector.open({ create: options }, () => this.#connect());
  }

  /** Ends the process; pending and later calls reject with `DISPOSED`. Safe to repeat. */
  dispose(): Promise<void> {
    this.#closing ??= this.#connection?.close(disposed()) ?? Promise.resolve();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** The process that runs, or a new one after the delay that it deserves. */
  async #connect(): Promise<Connection> {
    if (this.#closing) throw disposed();
    if (this.#connection?.isOpen) return this.#connection;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #start(): Promise<Connection> {
    const { length } = this.#endings;
    if (length > this.#policy.restartLimit) {
      const message = `The detector process ended ${length} times in a row without an answer, the last time with ${this.#endings.at(-1)}, and is not started again. Make another host when the cause is mended`;
      throw new DetectorError('PROCESS_ENDED', message);
    }
    const wait = this.#startAt - performance.now();
    if (wait > 0) await delay(wait);
    if (this.#closing) throw disposed();
    this.#connection = new Connection(this.#launch(), (ending) => this.#onEnd(ending));
    return this.#connection;
  }

  #onEnd(ending: string): void {
    this.#endings = [...(this.#connection?.hasServed ? [] : this.#endings), ending];
    const wait = this.#policy.restartDelay * 2 ** (this.#endings.length - 1);
    this.#startAt = performance.now() + Math.min(wait, LONGEST_DELAY_MS);
  }
}

function disposed(): DetectorError {
  return new DetectorError('DISPOSED', 'The detector host was disposed of; create another');
}
