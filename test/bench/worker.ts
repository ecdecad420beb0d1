import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface Command {
  command: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
}

/** One step as the worker has timed it itself. */
export interface Step {
  ms: number;
  /** Of all threads of the process. */
  cpuMs: number;
  result: unknown;
}

/**
 * A process that does one task step by step when it is told to: ours (`ours/worker.ts`) or the reference's (`reference/worker.py`).
 * They read and write lines of JSON: first `{task, ...arguments}`, answered by `{ready: facts}`; then for every line one step, answered
 * by a `Step`; or `{error}`.
 */
export class Worker {
  readonly facts: Readonly<Record<string, unknown>>;
  readonly #child: ChildProcess;
  readonly #ask: (line: string) => Promise<Record<string, unknown>>;

  private constructor(
    child: ChildProcess,
    ask: (line: string) => Promise<Record<string, unknown>>,
    facts: Record<string, unknown>,
  ) {
    this.#child = child;
    this.#ask = ask;
    this.facts = facts;
  }

  /** Rejects with what the process says if it cannot do the task. */
  static async start({ command, args, env }: Command, task: object): Promise<Worker> {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    const failed = new Promise<never>((_, reject) => child.once('error', reject));
    failed.catch(() => {});
    child.stdin.on('error', () => {}); // the process has ended, as its missing answer tells
    let errors = '';
    child.stderr.on('data', (text) => {
      errors = (errors + text).slice(-2000);
    });
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ask = async (line: string) => {
      child.stdin.write(`${line}\n`);
      const { value, done } = await Promise.race([answers.next(), failed]);
      if (done)
        throw new Error(`${command} has ended: ${errors.trim().split('\n').slice(-3).join(' ') || 'it said nothing'}`);
      const answer = JSON.parse(value) as Record<string, unknown>;
      if ('error' in answer) throw new Error(String(answer.error));
      return answer;
    };
    try {
      const { ready } = await ask(JSON.stringify(task));
      return new Worker(child, ask, ready as Record<string, unknown>);
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  async step(): Promise<Step> {
    return (await this.#ask('{}')) as unknown as Step;
  }

  /** The most memory that the process has had resident, in bytes; undefined where the system does not tell (not on Linux). */
  peakBytes(): number | undefined {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
    } catch {
      return undefined;
    }
  }

  async stop(): Promise<void> {
    const closed =
      this.#child.exitCode === null && this.#child.signalCode === null ? once(this.#child, 'close') : undefined;
    this.#child.stdin!.end();
    await closed;
  }
}
