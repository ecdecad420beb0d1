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

/** The restarts after the process of the detectors has ended by itself. */
export interface RestartPolicy {
  /**
   * The number of restarts in a row, without an answered call between them.
   * @default 5
   */
  restartLimit?: number;
  /**
   * The delay before the first restart, in milliseconds. It doubles with each further restart in a row, up to 30 s.
   * @default 250
   */
  restartDelay?: number;
}

/** The options of `createDetectorHost`. None is required. */
export interface DetectorHostOptions extends RestartPolicy {
  /**
   * The kind of process for the detectors. `utility` is a utility process of Electron; `child` is a process of Node.js. `worker` is a
   * thread of this process, which does not survive a crash of native code.
   * @default 'utility'
   */
  process?: 'utility' | 'child' | 'worker';
  /**
   * The runtime: `libtorch` or `onnx`. `onnx` uses onnxruntime-node and needs neither LibTorch nor the addon. `load` then takes an exported
   * ONNX file; `create` and `save` are not available.
   * @default 'libtorch'
   */
  backend?: 'libtorch' | 'onnx';
  /**
   * The `electron` module, for `utility`.
   * @default the module of this process
   */
  electron?: Pick<ElectronMain, 'utilityProcess'>;
}

const LONGEST_DELAY_MS = 30_000;

const processKinds = ['utility', 'child', 'worker'] as const;
const backends = ['libtorch', 'onnx'] as const;
type Backend = (typeof backends)[number];

/**
 * Creates a host, which runs detectors in a process of their own with the interface of `Detector`. A crash of native code, or lack of
 * memory, ends that process and not the app.
 * @throws {TypeError|RangeError} for a wrong option; the message names it
 * @throws {TypeError} outside of Electron, unless `process` is another kind
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

/** Starts the process of the detectors on first use, and restarts it when it has ended. */
export class DetectorHost {
  readonly #launch: () => ServiceProcess;
  readonly #backend: Backend;
  readonly #policy: Required<RestartPolicy>;
  #connection: Connection | undefined;
  #starting: Promise<Connection> | undefined;
  #closing: Promise<void> | undefined;
  /** The ends of the process since its last answer, one text each. */
  #endings: string[] = [];
  #startAt = 0;

  /** @internal Use `createDetectorHost`. `launch` starts a process with the program `service-main`. */
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

  /**
   * Loads a detector in the process, like `Detector.load`. With the backend `onnx` it works like `OnnxDetector.load`.
   * @throws {DetectorError} `PROCESS_ENDED`, `DISPOSED`, and the codes of that function
   */
  load(path: string, options?: Omit<LoadOptions, 'onWarning'> | OnnxLoadOptions): Promise<HostedDetector> {
    const source: DetectorSource =
      this.#backend === 'onnx'
        ? { onnx: path, options: options as OnnxLoadOptions | undefined }
        : { load: path, options: options as LoadOptions | undefined };
    return HostedDetector.open(source, () => this.#connect());
  }

  /**
   * Creates a detector in the process, like `Detector.create`. A restart creates it again, so give `weights` or load a checkpoint.
   * @throws {DetectorError} `PROCESS_ENDED`, `DISPOSED`, and the codes of that function
   */
  async create(options: DetectorOptions): Promise<HostedDetector> {
    if (this.#backend === 'onnx') {
      throw new RangeError(
        'Expected the backend libtorch for create but found onnx, which only runs exported files. Use load with a file of dinov3-det ' +
          'export --format onnx',
      );
    }
    return await HostedDetector.open({ create: options }, () => this.#connect());
  }

  /** Ends the process. Pending and later calls reject with `DISPOSED`. It is safe to repeat. */
  dispose(): Promise<void> {
    this.#closing ??= this.#connection?.close(disposed()) ?? Promise.resolve();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** Returns the running process, or starts one after the restart delay. */
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
  return new DetectorError('DISPOSED', 'The detector host was disposed. Create another');
}
