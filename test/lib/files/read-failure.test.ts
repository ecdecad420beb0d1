import { describe, expect, it } from 'vitest';
import { writeFailure } from '../../../lib/files/atomic-file.ts';
import { isTransient, readFailure, retryTransient } from '../../../lib/files/read-failure.ts';

const failing = (code: string) => Object.assign(new Error(`${code}: not now`), { code });

describe('errors of the system', () => {
  it.each(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES', 'EMFILE'])(
    'have a code of ours where %s stops a write',
    (code) => {
      expect(writeFailure('last', failing(code))).toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
    },
  );

  it.each(['EIO', 'EACCES', 'EMFILE', 'ENFILE', 'ENOMEM', 'ESTALE'])('and where %s stops a read', (code) => {
    const wrapped = new Error('cannot decode', { cause: failing(code) });
    const error = readFailure('a.jpg', wrapped);
    expect(error).toMatchObject({ code: 'IO_ERROR', cause: wrapped });
    expect(error!.message).toMatch(/^Cannot read a\.jpg now: .*, and try again\.$/);
    expect(isTransient(wrapped)).toBe(code !== 'EACCES');
  });

  it('are not what is wrong with a file', () => {
    for (const error of [failing('ENOENT'), failing('EISDIR'), new Error('corrupt'), 'text']) {
      expect(readFailure('a.jpg', error)).toBeUndefined();
      expect(isTransient(error)).toBe(false);
    }
  });
});

describe('retryTransient', () => {
  const failingTimes = (failures: number, code: string) => {
    let tries = 0;
    return async () => {
      if (tries++ < failures) throw failing(code);
      return tries;
    };
  };

  it('reads again until it works, four times at most', async () => {
    expect(await retryTransient(failingTimes(2, 'EMFILE'))).toBe(3);
    await expect(retryTransient(failingTimes(9, 'EIO'))).rejects.toThrow('EIO: not now');
  });

  it('does not repeat what cannot become better, and ends with its signal', async () => {
    await expect(retryTransient(failingTimes(1, 'ENOENT'))).rejects.toThrow('ENOENT');
    await expect(retryTransient(failingTimes(1, 'EIO'), AbortSignal.abort())).rejects.toThrow('abort');
  });
});
