import { describe, expect, it } from 'vitest';
import { checkSystem, describeRuntime } from '../../../lib/libtorch/runtime.ts';

describe('describeRuntime', () => {
  it.each([
    [{ node: '24.1.0' }, 'v24.1.0'],
    [{ node: '26.3.0', bun: '1.4.5' }, 'Bun 1.4.5, as Node.js v26.3.0'],
    [{ node: '26.3.0', deno: '2.9.6' }, 'Deno 2.9.6, as Node.js v26.3.0'],
  ])('of %j is %s', (versions, words) => {
    expect(describeRuntime(versions as never)).toBe(words);
  });
});

describe('checkSystem', () => {
  const alpine = (path: string) => path === '/lib/ld-musl-x86_64.so.1';
  it('refuses Alpine with an image to take instead', () => {
    expect(() => checkSystem('linux', alpine)).toThrow('node:24-bookworm-slim');
    expect(() => checkSystem('linux', alpine)).toThrow(expect.objectContaining({ code: 'LIBTORCH_INCOMPATIBLE' }));
  });

  it.each([
    ['a Linux with glibc', 'linux', (path: string) => path.includes('ld-linux')],
    ['a Linux with glibc that has musl too', 'linux', () => true],
    ['macOS', 'darwin', alpine],
    ['this system', process.platform, undefined],
  ])('takes %s', (_, platform, exists) => {
    expect(() => checkSystem(platform, exists)).not.toThrow();
  });
});
