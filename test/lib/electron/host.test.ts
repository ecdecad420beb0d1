import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { createDetectorHost, type DetectorHost, type DetectorHostOptions } from '../../../lib/electron/host.ts';
import type { HostedDetector } from '../../../lib/electron/hosted-detector.ts';
import type { Request } from '../../../lib/electron/protocol.ts';
import type { ServiceProcess } from '../../../lib/electron/service-process.ts';
import { squareClasses } from '../../support/squares.ts';
import { expectError, noise } from '../../support/voc.ts';
import { expectErrors } from './expect-errors.ts';
import { hostOn, launchers } from './services.ts';

const options: DetectorOptions = {
  classes: squareClasses,
  backbone: 'convnext_test',
  imageSize: { width: 64, height: 64 },
  threads: 1,
};
const all = { scoreThreshold: 0, maxDetections: 5 };

/** What a promise rejects with, looked at from now on. */
async function thrownBy(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  return promise.then(
    () => expect.fail('nothing was thrown'),
    (thrown) => thrown,
  );
}

let folder: string;
let checkpoint: string;
let picture: string;
let pictures: Uint8Array[];
let here: Detector;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  checkpoint = join(folder, 'checkpoint');
  picture = join(folder, 'picture.png');
  pictures = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      noise(40 + i, 50)
        .png()
        .toBuffer(),
    ),
  );
  await writeFile(picture, pictures[0]!);
  here = await Detector.create(options);
  await here.save(checkpoint);
});
afterAll(async () => {
  here.dispose();
  await rm(folder, { recursive: true, force: true });
});

describe.each(Object.keys(launchers) as (keyof typeof launchers)[])('detectors in %s', (kind) => {
  let host: DetectorHost;
  let started: ServiceProcess[];
  let there: HostedDetector;
  beforeAll(async () => {
    ({ host, started } = hostOn(kind, { restartDelay: 1 }));
    there = await host.load(checkpoint, { threads: 1 });
  });
  afterAll(() => host.dispose());

  it('describe themselves as a Detector does', async () => {
    const { classes, config, device, precision, weightReport } = here;
    expect({ ...there }).toStrictEqual({ classes, config, device, precision, weightReport });
    expect(await there.summary({ fineTune: true })).toStrictEqual(await here.summary({ fineTune: true }));
  });

  it('find the same in a path, in bytes, in pixels, and in several', async () => {
    const pixels = { data: new Uint8Array(30 * 20 * 3).fill(90), width: 30, height: 20 };
    for (const image of [picture, pictures[1]!, pixels]) {
      const found = await there.detect(image, all);
      expect(found).toHaveLength(5);
      expect(found).toStrictEqual(await here.detect(image, all));
    }
    const many = [picture, ...pictures, pixels];
    const batches = { ...all, batchSize: 4 };
    expect(await there.detect(many, batches)).toStrictEqual(await here.detect(many, batches));
    expect(await there.detect([])).toEqual([]);
  });

  it('answer 20 calls at once, each with its own', async () => {
    const found = await Promise.all(pictures.map((image) => there.detect(image, all)));
    expect(found).toStrictEqual(await Promise.all(pictures.map((image) => here.detect(image, all))));
    expect(new Set(found.map((each) => JSON.stringify(each))).size).toBe(20);
  });

  it('look at bytes as they were at the call', async () => {
    const bytes = Uint8Array.from(pictures[2]!);
    const found = there.detect(bytes, all);
    bytes.fill(0);
    expect(await found).toStrictEqual(await here.detect(pictures[2]!, all));
  });

  it('draw the same image', async () => {
    const found = await here.detect(picture, all);
    const drawn = await there.annotate(picture, found, { format: 'png' });
    expect(Buffer.isBuffer(drawn)).toBe(true);
    expect(drawn.equals(await here.annotate(picture, found, { format: 'png' }))).toBe(true);
    expect((await there.annotate(picture)).equals(await here.annotate(picture))).toBe(true);
  });

  it('are exported as by a Detector, and given up by using', async () => {
    const [mine, theirs] = [join(folder, 'here.safetensors'), join(folder, `${kind}.safetensors`)];
    expect(await there.export(theirs)).toEqual(await here.export(mine));
    expect((await readFile(theirs)).equals(await readFile(mine))).toBe(true);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(there.export(theirs, { signal })).rejects.toThrow('enough');
    const other = await host.load(checkpoint, { threads: 1 });
    other[Symbol.dispose]();
    await expectError(other.summary(), 'DISPOSED');
  });

  it('are saved, and made from options', async () => {
    const made = await host.create(options);
    await made.save(join(folder, `from ${kind}`));
    await using loaded = await Detector.load(join(folder, `from ${kind}`), { threads: 1 });
    expect(await loaded.detect(picture, all)).toStrictEqual(await made.detect(picture, all));
    made.dispose();
    await expectError(made.detect(picture), 'DISPOSED', 'dispose()');
    expect(await there.detect(picture, all)).toHaveLength(5);
  });

  it('reject as a Detector does, with class, code and message', async () => {
    const truncated = pictures[0]!.subarray(0, 200);
    const wrong: [() => Promise<unknown>, () => Promise<unknown>][] = [
      [() => there.detect(join(folder, 'none.png')), () => here.detect(join(folder, 'none.png'))],
      [() => there.detect(truncated), () => here.detect(truncated)],
      [() => there.detect(Buffer.from('GIF89a')), () => here.detect(Buffer.from('GIF89a'))],
      [() => there.detect(7 as never), () => here.detect(7 as never)],
      [() => there.detect(null as never), () => here.detect(null as never)],
      [() => there.detect(picture, { scoreThreshold: 2 }), () => here.detect(picture, { scoreThreshold: 2 })],
      [() => there.detect(picture, { treshold: 1 } as never), () => here.detect(picture, { treshold: 1 } as never)],
      [
        () => there.annotate(picture, [], { format: 'gif' } as never),
        () => here.annotate(picture, [], { format: 'gif' } as never),
      ],
      [() => host.load(folder), () => Detector.load(folder)],
      [() => host.create({ classes: [] }), () => Detector.create({ classes: [] })],
      [() => host.create({ ...options, weights: picture }), () => Detector.create({ ...options, weights: picture })],
    ];
    for (const [remote, local] of wrong) {
      // One after the other: libvips has one text for the errors of all threads.
      const [error, expected] = [await thrownBy(remote()), await thrownBy(local())];
      expect(error).toBeInstanceOf(Error);
      expect(error.constructor).toBe(expected.constructor);
      expect(error.message).toBe(expected.message);
      expect(error.code).toBe(expected.code);
    }
  });

  it('refuse what cannot be sent, and go on', async () => {
    const unsendable = { format: () => 'png' } as never;
    const error = await there.annotate(picture, [], unsendable).catch((thrown) => thrown);
    // A child's serializer leaves functions out where a worker's throws: both end as a wrong argument.
    expect(error).toBeInstanceOf(TypeError);
    expect(await there.detect(picture, all)).toHaveLength(5);
  });

  it('give up one call of several at its signal', async () => {
    const controller = new AbortController();
    const calls = pictures.map((image, i) =>
      there.detect(image, i === 12 ? { ...all, signal: controller.signal } : all),
    );
    const reason = new Error('not this one');
    controller.abort(reason);
    const results = await Promise.allSettled(calls);
    expect(results[12]).toEqual({ status: 'rejected', reason });
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(19);
    await expect(there.detect(picture, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(there.detect(picture, { signal: {} as never })).rejects.toThrow('Expected AbortSignal for signal');
  });

  it('between two batches, a signal spares the rest', async () => {
    const controller = new AbortController();
    const many = { ...all, batchSize: 1, signal: controller.signal };
    const long = there.detect(
      Array.from({ length: 500 }, () => picture),
      many,
    );
    await there.detect(picture, all);
    controller.abort();
    await expect(long).rejects.toThrow('aborted');
    expect(await there.detect(picture, all)).toHaveLength(5);
  });

  it('when it ends, reject all that is pending with how, and come back for the next call', async () => {
    const before = await there.detect(picture, all);
    const count = started.length;
    const pending = pictures.map((image) => there.detect(image, all));
    started.at(-1)!.kill();
    const ending = kind === 'a worker thread' ? 'exit code 1' : 'signal SIGKILL';
    const words = [`The detector process ended with ${ending}`, 'starts it again'];
    await expectErrors(pending, 'PROCESS_ENDED', ...words);
    expect(await Promise.all([there.detect(picture, all), there.detect(picture, all)])).toEqual([before, before]);
    expect(started).toHaveLength(count + 1);
  });

  it('when it ends between calls, nobody notices', async () => {
    const count = started.length;
    const before = await there.detect(picture, all);
    started.at(-1)!.kill();
    await new Promise((resolve) => started.at(-1)!.onExit(resolve));
    expect(await there.detect(picture, all)).toEqual(before);
    expect(started).toHaveLength(count + 1);
  });

  it('after dispose() of a detector, calls under way still end', async () => {
    const made = await host.create(options);
    const calls = pictures.map((image) => made.detect(image, all));
    made.dispose();
    made.dispose();
    expect(await Promise.all(calls)).toHaveLength(20);
    await expectError(made.detect(picture), 'DISPOSED');
  });

  it('after dispose() of the host, everything rejects, and the process is gone', async () => {
    const { host, started } = hostOn(kind);
    const made = await host.create(options);
    const calls = pictures.map((image) => made.detect(image, all));
    const exit = new Promise((resolve) => started[0]!.onExit(resolve));
    const rejected = expectErrors(calls, 'DISPOSED', 'The detector host was disposed');
    await Promise.all([host.dispose(), host.dispose()]);
    await exit;
    await rejected;
    await expectError(made.detect(picture), 'DISPOSED', 'host');
    await expectError(host.load(checkpoint), 'DISPOSED', 'host');
    expect(started).toHaveLength(1);
  });
});

describe('createDetectorHost', () => {
  it.each([
    [{ process: 'thread' }, RangeError, 'one of utility, child, worker for process'],
    [{ procss: 'child' }, TypeError, 'did you mean "process"'],
    [{ process: 'child', restartLimit: -1 }, RangeError, 'restartLimit'],
    [{ process: 'child', restartDelay: 1e9 }, RangeError, 'restartDelay'],
    [{}, TypeError, 'This needs Electron, but it runs in Node.js v'],
    [null, TypeError, 'Expected object for options'],
  ])('refuses %j', async (given, type, message) => {
    const error = await createDetectorHost(given as DetectorHostOptions).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(type);
    expect(error.message).toContain(message);
  });

  it('says why a process cannot be started', async () => {
    const { execPath } = process;
    const host = await createDetectorHost({ process: 'child', restartLimit: 0 });
    try {
      process.execPath = join(folder, 'no-node');
      await expectError(host.load(checkpoint), 'PROCESS_ENDED', 'The detector process ended with spawn', 'ENOENT');
    } finally {
      process.execPath = execPath;
    }
    await expectError(host.load(checkpoint), 'PROCESS_ENDED', 'not started again');
    await host.dispose();
  });

  it("starts Electron's utility process when it is first needed", async () => {
    const forked: unknown[][] = [];
    const listeners: Record<string, (value: never) => void> = {};
    const sent: Request[] = [];
    const utilityProcess = {
      fork: (...args: unknown[]) => {
        forked.push(args);
        return {
          postMessage: (message: unknown) => void sent.push(message as Request),
          kill: () => true,
          on: (event: string, listener: (value: never) => void) => (listeners[event] = listener),
        };
      },
    };
    const host = await createDetectorHost({ electron: { utilityProcess } });
    expect(forked).toEqual([]);
    const opening = host.load('runs/best');
    await new Promise((resolve) => setTimeout(resolve, 2));
    expect(forked).toEqual([
      [
        expect.stringMatching(/electron[\\/]service-main\.ts$/),
        [],
        expect.objectContaining({ serviceName: 'dinov3-det' }),
      ],
    ]);
    expect(sent).toEqual([expect.objectContaining({ method: 'open', args: { source: { load: 'runs/best' } } })]);
    listeners.exit!(11 as never);
    await expectError(opening, 'PROCESS_ENDED', 'ended with exit code 11');
    await host.dispose();
  });
});
