import { wrongArgument } from './check.ts';

/** How a call is given up. */
export interface CallOptions {
  /** When it is aborted, the call rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/** @throws {TypeError} for what is given and is no `AbortSignal` */
export function checkSignal(name: string, value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw new TypeError(wrongArgument(name, 'AbortSignal', value));
}

/** The signal of a call, and its other options. @throws {TypeError} for options that are no object, and for another signal */
export function takeSignal<T extends CallOptions>(
  options: T,
): { signal: CallOptions['signal']; given: Omit<T, 'signal'> } {
  if (options === null || typeof options !== 'object') throw new TypeError(wrongArgument('options', 'object', options));
  const { signal, ...given } = options;
  return { signal: checkSignal('signal', signal), given };
}
