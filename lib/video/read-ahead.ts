/**
 * Runs a source ahead of its reader. At most `capacity` items wait, and the source holds one more. If the reader is slower, the source
 * waits. With `dropsOldest` the oldest item is dropped instead.
 */
export class ReadAhead<T> {
  /** The number of dropped items. */
  dropped = 0;
  readonly #capacity: number;
  readonly #waiting: T[] = [];
  readonly #running: Promise<void>;
  #failure: { error: unknown } | undefined;
  #hasEnded = false;
  #isStopped = false;
  #wake: (() => void)[] = [];

  constructor(source: AsyncIterable<T>, capacity: number, dropsOldest = false) {
    this.#capacity = capacity;
    this.#running = this.#run(source, dropsOldest);
  }

  /**
   * Takes at most `most` items, and at least `least` unless the source ends; none at its end. Throws the source's error after its items.
   */
  async take(least: number, most: number): Promise<T[]> {
    while (this.#waiting.length < Math.min(least, this.#capacity) && !this.#hasEnded) await this.#change();
    if (this.#waiting.length === 0 && this.#failure) throw this.#failure.error;
    const taken = this.#waiting.splice(0, most);
    this.#notify();
    return taken;
  }

  /** Takes the items one by one. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const taken = await this.take(1, 1);
      if (taken.length === 0) return;
      yield taken[0]!;
    }
  }

  /** Stops the source at its next item, and waits for that. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#notify();
    await this.#running;
  }

  async #run(source: AsyncIterable<T>, dropsOldest: boolean): Promise<void> {
    try {
      for await (const item of source) {
        while (!dropsOldest && this.#waiting.length >= this.#capacity && !this.#isStopped) await this.#change();
        if (this.#isStopped) break;
        if (this.#waiting.length >= this.#capacity) {
          this.#waiting.shift();
          this.dropped++;
        }
        this.#waiting.push(item);
        this.#notify();
      }
    } catch (error) {
      this.#failure = { error };
    }
    this.#hasEnded = true;
    this.#notify();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake.push(resolve);
    });
  }

  #notify(): void {
    const waiters = this.#wake;
    this.#wake = [];
    for (const wake of waiters) wake();
  }
}
