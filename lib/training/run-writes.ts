import { DetectorError, messageOf } from '../base/errors.ts';
import { isWriteFailure } from '../files/atomic-file.ts';

/** The writes of a run, some of which may fail: a full disk must not end a training of days. */
export class RunWrites {
  readonly #onWarning: ((message: string) => void) | undefined;
  readonly #maxFailedSaves: number;
  #failedSaves = 0;
  #recordsFail = false;

  constructor(maxFailedSaves: number, onWarning?: (message: string) => void) {
    this.#maxFailedSaves = maxFailedSaves;
    this.#onWarning = onWarning;
  }

  /** Writes what the run can do without, such as metrics and plots. Of failures in a row the first is told. */
  async record(write: () => Promise<void>): Promise<void> {
    try {
      await write();
      this.#recordsFail = false;
    } catch (error) {
      if (!isWriteFailure(error)) throw error;
      if (!this.#recordsFail) this.#onWarning?.(`${messageOf(error)} Training goes on, and writing is tried again.`);
      this.#recordsFail = true;
    }
  }

  /**
   * Saves a checkpoint. Returns whether that worked: otherwise the one that is there is still whole.
   * @throws DetectorError `OUTPUT_NOT_WRITABLE` for the last of so many failures in a row
   */
  async save(write: () => Promise<void>): Promise<boolean> {
    try {
      await write();
      if (this.#failedSaves > 0) this.#onWarning?.('The checkpoint could be saved again.');
      this.#failedSaves = 0;
      return true;
    } catch (error) {
      if (!isWriteFailure(error)) throw error;
      const times = `${++this.#failedSaves} of ${this.#maxFailedSaves} times in a row`;
      if (this.#failedSaves >= this.#maxFailedSaves) {
        const message = `${messageOf(error)} Saving failed ${times}: the training ends. The checkpoint that was saved before is whole.`;
        throw new DetectorError(error.code, message, { cause: error });
      }
      this.#onWarning?.(
        `THE CHECKPOINT COULD NOT BE SAVED (${times}): ${messageOf(error)} Training goes on with the checkpoint that is there.`,
      );
      return false;
    }
  }
}
