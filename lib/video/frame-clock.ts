const TIME_BASE = /^\[Parsed_showinfo_\d+ @ [^\]]+\] \[info\] config in time_base: (\d+)\/(\d+)/;
const FRAME = /^\[Parsed_showinfo_\d+ @ [^\]]+\] \[info\] n: *\d+ pts: *(-?\d+|NOPTS) /;

/** The backward jump, in seconds, that means a new clock, for example after a camera restarted. */
const RESTART = 1;

/**
 * The times of frames, from the log of ffmpeg's `showinfo`. It writes a line for each frame before it passes the frame on. A frame without
 * a time gets one by the frame rate. Times never go backwards.
 */
export class FrameClock {
  readonly #frameSeconds: number;
  readonly #times: (number | undefined)[] = [];
  #timeBase: [numerator: number, denominator: number] = [Number.NaN, 1];
  #last: number | undefined;
  /** The offset between the time and the stream's own time since its clock restarted. */
  #offset = 0;
  #hasEnded = false;
  #wake = () => {};

  constructor(frameRate: number) {
    this.#frameSeconds = 1 / frameRate;
  }

  /** Reads a line of the log. */
  read(line: string): void {
    const base = TIME_BASE.exec(line);
    if (base) this.#timeBase = [Number(base[1]), Number(base[2])];
    const frame = FRAME.exec(line);
    if (!frame) return;
    const [numerator, denominator] = this.#timeBase;
    const seconds = (Number(frame[1]) * numerator) / denominator;
    this.#times.push(Number.isFinite(seconds) ? seconds : undefined);
    this.#wake();
  }

  /** Tells the clock that no more lines come. */
  end(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  /** The time of the next frame, in seconds. */
  async next(): Promise<number> {
    if (this.#times.length === 0 && !this.#hasEnded) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const earliest = this.#last ?? 0;
    const expected = this.#last === undefined ? 0 : this.#last + this.#frameSeconds;
    const time = (this.#times.shift() ?? expected - this.#offset) + this.#offset;
    if (time < earliest - RESTART) this.#offset += expected - time;
    this.#last = time < earliest - RESTART ? expected : Math.max(time, earliest);
    return this.#last;
  }
}
