import { GrowingArray } from './growing-array.ts';

/** A `TextColumn` as it is kept in a file. */
export interface TextColumns {
  /** UTF-8. */
  bytes: Uint8Array;
  /** Where each text begins in `bytes`, and the end of the last. */
  starts: Uint32Array;
}

/** Texts one after the other in a buffer: a million names are one object instead of a million. */
export class TextColumn {
  readonly columns: TextColumns;
  readonly #bytes: Buffer;

  constructor(columns: TextColumns) {
    const { bytes } = columns;
    this.columns = columns;
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get length(): number {
    return this.columns.starts.length - 1;
  }

  at(index: number): string {
    const { starts } = this.columns;
    return this.#bytes.toString('utf8', starts[index]!, starts[index + 1]!);
  }
}

/** Makes a `TextColumn`, text by text. */
export class TextColumnBuilder {
  readonly #bytes = new GrowingArray<Uint8Array>(Uint8Array, 1024);
  readonly #starts = new GrowingArray(Uint32Array);

  constructor() {
    this.#starts.push(0);
  }

  push(text: string): void {
    this.#bytes.append(Buffer.from(text));
    this.#starts.push(this.#bytes.length);
  }

  finish(): TextColumn {
    return new TextColumn({ bytes: this.#bytes.trimmed(), starts: this.#starts.trimmed() });
  }
}

/** Whether columns that were read from a file are those of so many texts. */
export function isTextColumn({ bytes, starts }: TextColumns, length: number): boolean {
  return isAscending(starts, length, bytes.length);
}

/** Whether numbers divide 0 to `end` into so many stretches. */
export function isAscending(starts: Uint32Array, stretches: number, end: number): boolean {
  if (starts.length !== stretches + 1 || starts[0] !== 0 || starts[stretches] !== end) return false;
  for (let i = 0; i < stretches; i++) if (starts[i + 1]! < starts[i]!) return false;
  return true;
}
