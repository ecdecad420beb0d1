import { hostname } from 'node:os';
import { join } from 'node:path';
import { DetectorError } from '../base/errors.ts';
import type { Detector } from '../detector/detector.ts';
import { writing } from '../files/atomic-file.ts';
import { type Release, takeLock } from '../files/lock.ts';

/** Says which process has a run directory for itself. It is there while a run is under way. */
const LOCK = '.lock';

const inTraining = new WeakSet<Detector>();

/** What a run has for itself while it is under way: a detector and a directory. */
export class RunClaim {
  readonly #detector: Detector;
  #release: Release | undefined;

  /** @throws DetectorError `IN_USE` for a detector that another Trainer trains */
  constructor(detector: Detector) {
    if (inTraining.has(detector)) {
      throw new DetectorError(
        'IN_USE',
        'The detector is being trained by another Trainer. Wait for that run to end, or create or load a detector for this one.',
      );
    }
    inTraining.add(detector);
    this.#detector = detector;
  }

  /** Claims the directory, too, which is made if it is missing. @throws DetectorError `IN_USE`, `OUTPUT_NOT_WRITABLE` */
  async lock(outDir: string): Promise<void> {
    if (this.#release) return;
    const onWait = (pid: number, host: string) => {
      const where = host === hostname() ? '' : ` on ${host}`;
      throw new DetectorError(
        'IN_USE',
        `${outDir} is in use by process ${pid}${where}, which trains in it. Wait for that run to end, or name another directory.`,
      );
    };
    this.#release = await writing(outDir, () => takeLock(join(outDir, LOCK), { onWait }));
  }

  async release(): Promise<void> {
    inTraining.delete(this.#detector);
    await this.#release?.();
  }
}
