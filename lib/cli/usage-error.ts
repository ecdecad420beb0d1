/** A wrong command line that the argument parser could not see by itself: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
