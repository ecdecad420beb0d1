interface Numbers {
  readonly length: number;
  [index: number]: number;
  set(other: never, offset?: number): void;
}

/** A typed array that grows as it is written: doubling, so that a million numbers cost twenty copies. */
export class GrowingArray<T extends Int32Array | Uint32Array | Float64Array | Uint8Array> {
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
    this.#reserve(1);
    (this.#values as Numbers)[this.length++] = value;
  }

  append(values: T): void {
    this.#reserve(values.length);
    (this.#values as Numbers).set(values as never, this.length);
    this.length += values.length;
  }

  #reserve(count: number): void {
    if (this.length + count <= this.#values.length) return;
    const larger = new this.#make(Math.max(2 * this.#values.length, this.length + count));
    (larger as Numbers).set(this.#values as never);
    this.#values = larger;
  }

  at(index: number): number {
    return this.#values[index]!;
  }

  /** What was written, without the room beyond. */
  trimmed(): T {
    return this.#values.slice(0, this.length) as T;
  }
}
