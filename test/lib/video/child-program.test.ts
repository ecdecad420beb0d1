import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ChildProgram, runToEnd, within } from '../../../lib/video/child-program.ts';
import { childProcesses } from '../../support/video.ts';

const program = (code: string) => ['-e', code];

describe('ChildProgram', () => {
  it('hands lines on and keeps the last errors', async () => {
    const lines: string[] = [];
    const log =
      "['[info]  title: [error] no', '[h264 @ 0x5] [error] one', '[fatal] two', 'ld.so: three', '[warning] x'].join('\\n')";
    const child = new ChildProgram(process.execPath, program(`process.stderr.write(${log})`), {
      onLine: (line) => lines.push(line),
    });
    child.stdout.resume();
    expect(await child.ended).toBe(0);
    expect(lines).toHaveLength(5);
    expect(child.complaint).toBe('one; two; ld.so: three');
  });

  it('says why it could not start', async () => {
    const child = new ChildProgram('/no/such/program', []);
    expect(await child.ended).toBe('ENOENT');
    child.kill();
  });

  it.skipIf(process.platform !== 'linux')('is killed by its signal, with what it started (Linux)', async () => {
    const controller = new AbortController();
    const child = new ChildProgram('/bin/sh', ['-c', 'sleep 1000 & wait'], { signal: controller.signal });
    await setTimeout(100);
    controller.abort();
    expect(await child.ended).toBe('SIGKILL');
    expect(child.isKilled).toBe(true);
    expect(await childProcesses()).toEqual([]);
    child.kill();
  });

  it('is not started for an aborted signal, or not for long', async () => {
    const child = new ChildProgram('/bin/sh', ['-c', 'sleep 1000'], { signal: AbortSignal.abort() });
    expect(await child.ended).toBe('SIGKILL');
  });

  it('ends for itself although nobody reads what it wrote', async () => {
    const child = new ChildProgram(
      process.execPath,
      program('process.stdout.write(Buffer.alloc(1e6)); setInterval(() => {}, 1e6)'),
    );
    await setTimeout(200);
    child.kill();
    expect(await child.ended).toBe('SIGKILL');
  });
});

it('ChildProgram that has ended by itself is let go of, although nobody reads what it wrote', async () => {
  const child = new ChildProgram(process.execPath, program('process.stdout.write("x")'));
  // Attached, but not reading: as a loop that was left.
  child.stdout.on('readable', () => {});
  await setTimeout(1500);
  child.kill();
  expect(await child.ended).toBe(0);
  expect(child.isKilled).toBe(false);
});

describe('runToEnd', () => {
  it('gives what was said', async () => {
    const code = 'console.log("out"); console.error("[error] bad"); process.exitCode = 3';
    expect(await runToEnd(process.execPath, program(code), 60)).toEqual({
      output: 'out\n',
      ending: 3,
      complaint: 'bad',
    });
  });

  it('does not wait for ever', async () => {
    const { ending } = await runToEnd('/bin/sh', ['-c', 'sleep 1000'], 0.2);
    expect(ending).toBe('no answer for 0.2 s');
  });

  it('throws the reason of its signal', async () => {
    const signal = AbortSignal.timeout(100);
    await expect(runToEnd('/bin/sh', ['-c', 'sleep 1000'], 60, signal)).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});

it('within calls when it is late, and only then', async () => {
  const calls: string[] = [];
  expect(await within(60, Promise.resolve(1), () => calls.push('early'))).toBe(1);
  await within(0.01, setTimeout(50), () => calls.push('late'));
  expect(calls).toEqual(['late']);
});
