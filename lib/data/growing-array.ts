interface Numbers {
  readonly length: number;
  [index: number]: number;
  set(other: never, offset?: number): void;
}

/** A typed array that grows as it is written: doubling, so that a million numbers cost twenty copies. */
export class GrowingArray<T extends Int32Array | Float64Array | Uint8Array> {
  readonly #make: new (
    length: number,
  ) => T;
  #values: T;
  length = 0;

  constructor(make: new (length: number) => T, capacity = 64) {
    this.#make = make;
    this.#values = new make(capacity);
  }

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new this.#make(2 * this.length);
      (larger as Numbers).set(this.#values as never);
      this.#values = larger;
    }
    (this.#values as Numbers)[this.length++] = value;
  }

  at(index: number): number {
    return this.#values[index]!;
  }

  /** What was written, without the room beyond. */
  trimmed(): T {
    return this.#values.slice(0, this.length) as T;
  }
}
