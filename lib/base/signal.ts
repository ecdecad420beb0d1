import { wrongArgument } from './check.ts';

/** Options that every cancellable call takes. */
export interface CallOptions {
  /**
   * Aborting this signal makes the call reject with the signal's reason.
   * @default none
   */
  signal?: AbortSignal | undefined;
}

/** Checks that a value is an `AbortSignal` or undefined. @throws {TypeError} for any other value */
export function checkSignal(name: string, value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw new TypeError(wrongArgument(name, 'AbortSignal', value));
}

/**
 * Separates the signal of a call from its other options.
 * @throws {TypeError} if the options are not an object, or the signal is not an `AbortSignal`
 */
export function takeSignal<T extends CallOptions>(
  options: T,
): { signal: CallOptions['signal']; given: Omit<T, 'signal'> } {
  if (options === null || typeof options !== 'object') throw new TypeError(wrongArgument('options', 'object', options));
  const { signal, ...given } = options;
  return { signal: checkSignal('signal', signal), given };
}
