import { DetectorHost, type RestartPolicy } from '../../../lib/electron/host.ts';
import type { Reply, Request } from '../../../lib/electron/protocol.ts';
import type { ServiceProcess } from '../../../lib/electron/service-process.ts';

/** A process of the test's own. */
export class FakeProcess implements ServiceProcess {
  readonly requests: Request[] = [];
  readonly refs: boolean[] = [];
  #reply: (reply: Reply) => void = () => {};
  readonly #exits: ((ending: string) => void)[] = [];

  post(request: Request): void {
    this.requests.push(request);
  }
  onMessage(listener: (reply: Reply) => void): void {
    this.#reply = listener;
  }
  onExit(listener: (ending: string) => void): void {
    this.#exits.push(listener);
  }
  setRef(isNeeded: boolean): void {
    this.refs.push(isNeeded);
  }
  kill(): void {
    this.end('exit code 9');
  }
  end(ending: string): void {
    for (const listener of this.#exits) listener(ending);
  }
  /** Answers the last call. */
  answer(value: unknown): void {
    this.#reply({ kind: 'value', call: this.requests.at(-1)!.call, value });
  }
  fail(error: Extract<Reply, { kind: 'error' }>['error']): void {
    this.#reply({ kind: 'error', call: this.requests.at(-1)!.call, error });
  }
}

/** A host on such processes. */
export function fakeHost(policy: RestartPolicy = { restartDelay: 0 }) {
  const started: FakeProcess[] = [];
  const host = new DetectorHost(() => {
    started.push(new FakeProcess());
    return started.at(-1)!;
  }, policy);
  const turn = () => new Promise((resolve) => setTimeout(resolve, 2));
  /** The first detector, opened by the process that runs. */
  const open = async () => {
    const opening = host.load('dir');
    await turn();
    started.at(-1)!.answer({ classes: [], config: {}, device: 'cpu', precision: 'fp32', weightReport: undefined });
    return opening;
  };
  return { host, started, turn, open };
}
