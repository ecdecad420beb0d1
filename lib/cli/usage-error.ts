/** The error for a wrong command line that the argument parser does not detect; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
