import { DetectorError, messageOf } from '../base/errors.ts';
import type { CallOptions } from '../base/signal.ts';
import type { ImageInput } from '../images/image.ts';
import { type Call, type Method, type Methods, type Reply, unpackError } from './protocol.ts';
import type { ServiceProcess } from './service-process.ts';

interface Pending {
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  method: Method;
  /** Stops listening to the call's signal. */
  unlisten: () => void;
}

/** The calls to one process, from its start to its end. */
export class Connection {
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  readonly #process: ServiceProcess;
  readonly #pending = new Map<number, Pending>();
  /** The error that every later call rejects with. */
  #failure: DetectorError | undefined;
  #served = false;
  #calls = 0;

  /** `onEnd` is called before any call rejects. */
  constructor(service: ServiceProcess, onEnd: (ending: string) => void) {
    this.#process = service;
    service.onMessage((reply) => this.#receive(reply));
    this.ended = new Promise((resolve) => {
      service.onExit((ending) => {
        onEnd(ending);
        const message = `The detector process ended with ${ending}. The next call starts it again`;
        this.#failAll(new DetectorError('PROCESS_ENDED', message));
        resolve();
      });
    });
    service.setRef(false);
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** True once the process has done more than load a detector. */
  get hasServed(): boolean {
    return this.#served;
  }

  /**
   * Calls a method of the process.
   * @throws the error that the process answered
   * @throws {DetectorError} `PROCESS_ENDED`
   * @throws {TypeError} for an argument that cannot be sent
   * @throws the reason of the signal
   */
  call<M extends Method>(
    method: M,
    args: Methods[M]['args'],
    { images = [], signal }: { images?: readonly ImageInput[] } & CallOptions = {},
  ): { id: number; value: Promise<Methods[M]['value']> } {
    const call = ++this.#calls;
    const answer = new Promise<unknown>((resolve, reject) => {
      if (this.#failure) throw this.#failure;
      signal?.throwIfAborted();
      for (const image of images) this.#post({ kind: 'image', call, image });
      this.#post({ kind: 'call', call, method, args } as Call);
      const onAbort = () => {
        this.#settle(call)?.reject(signal!.reason);
        this.#post({ kind: 'abort', call });
      };
      const unlisten = () => signal?.removeEventListener('abort', onAbort);
      this.#pending.set(call, { resolve, reject, method, unlisten });
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#process.setRef(true);
    });
    return { id: call, value: answer as Promise<Methods[M]['value']> };
  }

  /** Ends the process: pending calls reject with `failure`. Resolves when the process has ended. */
  async close(failure: DetectorError): Promise<void> {
    this.#failAll(failure);
    this.#process.setRef(true); // the host sees the end of the process
    this.#process.kill();
    await this.ended;
  }

  #post(request: Parameters<ServiceProcess['post']>[0]): void {
    try {
      this.#process.post(request);
    } catch (error) {
      // The parts of the call that were sent already are useless there.
      if (request.kind !== 'abort') this.#post({ kind: 'abort', call: request.call });
      throw new TypeError(`The arguments cannot be sent to the detector process: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  #receive(reply: Reply): void {
    const pending = this.#settle(reply.call);
    if (!pending) return; // aborted meanwhile
    if (pending.method !== 'open') this.#served = true;
    if (reply.kind === 'error') pending.reject(unpackError(reply.error));
    else pending.resolve(reply.value);
  }

  #settle(call: number): Pending | undefined {
    const pending = this.#pending.get(call);
    this.#pending.delete(call);
    pending?.unlisten();
    if (this.#pending.size === 0) this.#process.setRef(false);
    return pending;
  }

  #failAll(failure: DetectorError): void {
    this.#failure ??= failure;
    for (const call of [...this.#pending.keys()]) this.#settle(call)?.reject(this.#failure);
  }
}
