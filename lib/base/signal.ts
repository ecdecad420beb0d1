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
