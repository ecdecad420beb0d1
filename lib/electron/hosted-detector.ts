import { checkSequence } from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import { type CallOptions, takeSignal } from '../base/signal.ts';
import type { Detection } from '../boxes/detection.ts';
import { checkDetectOptions, type DetectOptions } from '../detector/detect-options.ts';
import type { ExportReport } from '../detector/export.ts';
import type { ExportOptions } from '../detector/export-options.ts';
import type { ModelSummary, SummaryOptions } from '../detector/summary.ts';
import type { AnnotateOptions } from '../images/draw.ts';
import type { ImageInput } from '../images/image.ts';
import type { Connection } from './connection.ts';
import { copyImage, type DetectorDescription, type DetectorSource, type Method, type Methods } from './protocol.ts';

/** The arguments of a call without the detector's number, which only the connection knows. */
type ArgumentsOf<M extends Method> = Omit<Methods[M]['args'], 'detector'>;

/** The place of a detector: its process and its number there. */
interface Opened {
  connection: Connection | undefined;
  id: Promise<number>;
}

/**
 * A detector in another process with the interface of `Detector`. Every call takes an `AbortSignal`, and may reject with `PROCESS_ENDED`.
 */
export class HostedDetector {
  readonly classes: DetectorDescription['classes'];
  readonly config: DetectorDescription['config'];
  readonly device: DetectorDescription['device'];
  readonly precision: DetectorDescription['precision'];
  readonly weightReport: DetectorDescription['weightReport'];
  readonly #source: DetectorSource;
  readonly #connect: () => Promise<Connection>;
  #opened: Opened;
  readonly #underWay = new Set<Promise<unknown>>();
  #isDisposed = false;

  private constructor(
    description: DetectorDescription,
    source: DetectorSource,
    connect: () => Promise<Connection>,
    opened: Opened,
  ) {
    this.classes = description.classes;
    this.config = description.config;
    this.device = description.device;
    this.precision = description.precision;
    this.weightReport = description.weightReport;
    this.#source = source;
    this.#connect = connect;
    this.#opened = opened;
  }

  /** @internal The host's `load` and `create` call it. */
  static async open(source: DetectorSource, connect: () => Promise<Connection>): Promise<HostedDetector> {
    const connection = await connect();
    const { id, value } = connection.call('open', { source });
    return new HostedDetector(await value, source, connect, { connection, id: Promise.resolve(id) });
  }

  /** Detects objects, like `Detector.detect`. Images are sent batch by batch, so an abort saves the remaining batches. */
  detect(image: ImageInput, options?: DetectOptions): Promise<Detection[]>;
  detect(images: readonly ImageInput[], options?: DetectOptions): Promise<Detection[][]>;
  async detect(
    input: ImageInput | readonly ImageInput[],
    options: DetectOptions = {},
  ): Promise<Detection[] | Detection[][]> {
    const { signal, given } = takeSignal(options);
    const { batchSize } = checkDetectOptions(given);
    const inputs = (Array.isArray(input) ? checkSequence('images', input) : [input]) as ImageInput[];
    const all: Detection[][] = [];
    for (let begin = 0; begin < inputs.length; begin += batchSize) {
      const images = inputs.slice(begin, begin + batchSize).map(copyImage);
      all.push(...(await this.#call('detect', { options: given }, { images, signal })));
    }
    return Array.isArray(input) ? all : all[0]!;
  }

  /** Draws detections into an image and encodes it, like `Detector.annotate`. */
  async annotate(image: ImageInput, detections?: readonly Detection[], options: AnnotateOptions = {}): Promise<Buffer> {
    const { signal, given } = takeSignal(options);
    const images = [copyImage(image)];
    const { buffer, byteOffset, byteLength } = await this.#call(
      'annotate',
      { detections, options: given },
      { images, signal },
    );
    return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
  }

  /** Summarizes the model by layers, like `Detector.summary`. */
  async summary(options: SummaryOptions & CallOptions = {}): Promise<ModelSummary> {
    const { signal, given } = takeSignal(options);
    return this.#call('summary', { options: given }, { signal });
  }

  /** Exports the detector, like `Detector.export`. The process of the detector writes the file. */
  async export(path: string, options: ExportOptions = {}): Promise<ExportReport> {
    const { signal, given } = takeSignal(options);
    return this.#call('export', { path, options: given }, { signal });
  }

  /** Saves a checkpoint, like `Detector.save`. */
  async save(dir: string, options: CallOptions = {}): Promise<void> {
    await this.#call('save', { dir }, { signal: takeSignal(options).signal });
  }

  /** Frees the detector's memory in the process after its current calls. It is safe to repeat. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    void Promise.allSettled(this.#underWay).then(() => this.#release());
  }

  /** Calls `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Calls `dispose`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  #call<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    options: { images?: ImageInput[] } & CallOptions,
  ): Promise<Methods[M]['value']> {
    const answer = this.#send(method, args, options);
    this.#underWay.add(answer);
    const done = () => void this.#underWay.delete(answer);
    answer.then(done, done);
    return answer;
  }

  async #send<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    options: { images?: ImageInput[] } & CallOptions,
  ): Promise<Methods[M]['value']> {
    if (this.#isDisposed) {
      throw new DetectorError('DISPOSED', 'The Detector was used after dispose(); create or load another');
    }
    options.signal?.throwIfAborted();
    const connection = await unlessAborted(this.#connect(), options.signal);
    const detector = await unlessAborted(this.#open(connection), options.signal);
    return connection.call(method, { ...args, detector } as Methods[M]['args'], options).value;
  }

  /** Opens the detector in a process that does not have it yet. */
  #open(connection: Connection): Promise<number> {
    if (this.#opened.connection !== connection) {
      const { id, value } = connection.call('open', { source: this.#source });
      const opened = { connection, id: value.then(() => id) };
      this.#opened = opened;
      opened.id.catch(() => {
        if (this.#opened === opened) this.#opened = { connection: undefined, id: opened.id };
      });
    }
    return this.#opened.id;
  }

  async #release(): Promise<void> {
    const { connection, id } = this.#opened;
    try {
      if (connection?.isOpen) await connection.call('dispose', { detector: await id }).value;
    } catch {
      // The process of the detector has ended.
    }
  }
}

/** Waits until the signal at most. The promise continues for other callers. */
async function unlessAborted<T>(waiting: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return waiting;
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([waiting, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
