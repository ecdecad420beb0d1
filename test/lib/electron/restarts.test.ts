import { describe, expect, it } from 'vitest';
import { expectError } from '../../support/voc.ts';
import { expectErrors } from './expect-errors.ts';
import { fakeHost } from './fake-process.ts';

describe('restarts', () => {
  it('end when the process ends as often as the limit allows without an answer between', async () => {
    const { host, started, turn } = fakeHost({ restartLimit: 2, restartDelay: 0 });
    for (const code of [3, 4, 5]) {
      const opening = host.load('dir');
      await turn();
      started.at(-1)!.end(`exit code ${code}`);
      await expectError(opening, 'PROCESS_ENDED', `ended with exit code ${code}`);
    }
    await expectError(host.load('dir'), 'PROCESS_ENDED', 'ended 3 times in a row', 'exit code 5', 'not started again');
    expect(started).toHaveLength(3);
  });

  it('count anew after an answer; to load a detector is none', async () => {
    const { started, turn, open } = fakeHost({ restartLimit: 1, restartDelay: 0 });
    const detector = await open();
    for (let time = 0; time < 4; time++) {
      const call = detector.detect('a.png');
      await turn();
      if (time > 0) started.at(-1)!.answer({}); // opened again
      await turn();
      if (time % 2 === 0) {
        started.at(-1)!.answer([[]]);
        expect(await call).toEqual([]);
      } else {
        started.at(-1)!.fail({ name: 'RangeError', message: 'an answer as well' });
        await expect(call).rejects.toThrow('an answer as well');
      }
      started.at(-1)!.end('exit code 3');
    }
    const last = detector.detect('a.png');
    await turn();
    started.at(-1)!.answer({});
    await turn();
    started.at(-1)!.end('exit code 7');
    await expectError(last, 'PROCESS_ENDED', 'ended with exit code 7');
    await expectError(detector.detect('a.png'), 'PROCESS_ENDED', '2 times in a row');
  });

  it('wait longer every time, and dispose() does not wait', async () => {
    const { host, started, turn } = fakeHost({ restartLimit: 9, restartDelay: 40 });
    const begins: number[] = [];
    for (let time = 0; time < 3; time++) {
      const opening = host.load('dir');
      while (started.length === time) await turn();
      begins.push(performance.now());
      started.at(-1)!.end('exit code 1');
      await expectError(opening, 'PROCESS_ENDED');
    }
    // Lower bounds only; timers may be a millisecond early.
    expect(begins[1]! - begins[0]!).toBeGreaterThan(38);
    expect(begins[2]! - begins[1]!).toBeGreaterThan(78);
    const opening = host.load('dir');
    await host.dispose();
    await expectError(opening, 'DISPOSED');
    expect(started).toHaveLength(3);
  });

  it('make the detector again from the same source, once for all calls', async () => {
    const { started, turn, open } = fakeHost();
    const detector = await open();
    started[0]!.end('exit code 1');
    const calls = [detector.detect('a.png'), detector.detect('b.png')];
    await turn();
    expect(started[1]!.requests).toEqual([
      { kind: 'call', call: 1, method: 'open', args: { source: { load: 'dir', options: undefined } } },
    ]);
    started[1]!.fail({ name: 'DetectorError', code: 'CHECKPOINT_NOT_FOUND', message: 'It is gone' });
    await expectErrors(calls, 'CHECKPOINT_NOT_FOUND', 'It is gone');
    const third = detector.detect('a.png');
    await turn();
    started[1]!.answer({});
    await turn();
    expect(started[1]!.requests.at(-1)).toMatchObject({ method: 'detect', args: { detector: 2 } });
    started[1]!.answer([[]]);
    expect(await third).toEqual([]);
  });
});

describe('messages', () => {
  it('hold one image each, in a buffer of its own', async () => {
    const { started, turn, open } = fakeHost();
    const detector = await open();
    const large = new Uint8Array(1000);
    void detector.detect([large.subarray(10, 20), 'b.png', Buffer.from('small')], { batchSize: 2 }).catch(() => {});
    await turn();
    const [, first, second, call] = started[0]!.requests;
    expect(first).toEqual({ kind: 'image', call: 2, image: new Uint8Array(10) });
    expect((first as { image: Uint8Array }).image.buffer.byteLength).toBe(10);
    expect(second).toEqual({ kind: 'image', call: 2, image: 'b.png' });
    expect(call).toMatchObject({ kind: 'call', call: 2, method: 'detect' });
    expect(started[0]!.requests).toHaveLength(4);
    started[0]!.answer([[], []]);
    await turn();
    expect((started[0]!.requests[4] as { image: Uint8Array }).image.buffer.byteLength).toBe(5);
  });

  it('keep the process of the host alive only while an answer is missing', async () => {
    const { started, turn, open } = fakeHost();
    const detector = await open();
    const controller = new AbortController();
    const call = detector.detect('a.png', { signal: controller.signal });
    await turn();
    expect(started[0]!.refs.at(-1)).toBe(true);
    controller.abort();
    await expect(call).rejects.toThrow('aborted');
    expect(started[0]!.refs.at(-1)).toBe(false);
    expect(started[0]!.requests.at(-1)).toEqual({ kind: 'abort', call: 2 });
  });

  it('that are errors of any kind have a message', async () => {
    const { started, turn, open } = fakeHost();
    const detector = await open();
    for (const [name, type] of [
      ['TypeError', TypeError],
      ['RangeError', RangeError],
      ['DataCloneError', Error],
    ] as const) {
      const call = detector.detect('a.png');
      await turn();
      started[0]!.fail({ name, message: 'It is wrong', stack: 'where it was' });
      const error = await call.catch((thrown) => thrown);
      expect(error.constructor).toBe(type);
      expect(error).toMatchObject({ message: 'It is wrong', cause: 'where it was' });
    }
  });
});
