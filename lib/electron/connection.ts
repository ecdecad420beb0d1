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
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
  readonly #process: ServiceProcess;
  readonly #pending = new Map<number, Pending>();
  /** What every call rejects with from now on. */
  #failure: DetectorError | undefined;
  #served = false;
  #calls = 0;

  /** `onEnd` is called before anything rejects. */
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

  /** Whether it ever did more than to load a detector. */
  get hasServed(): boolean {
    return this.#served;
  }

  /** @throws what the process answered; `PROCESS_ENDED`; TypeError for what cannot be sent; the signal's reason */
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

  /** Ends the process: what is pending rejects with `failure`. Resolves when the process is gone. */
  async close(failure: DetectorError): Promise<void> {
    this.#failAll(failure);
    this.#process.setRef(true); // the host's process is to see it end
    this.#process.kill();
    await this.ended;
  }

  #post(request: Parameters<ServiceProcess['post']>[0]): void {
    try {
      this.#process.post(request);
    } catch (error) {
      // What was sent of the call so far is of no use there.
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
