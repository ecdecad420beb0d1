import type { DetectorErrorCode } from '../../../lib/base/errors.ts';
import { expectError } from '../../support/voc.ts';

/** Expects all of them to reject with this error, whichever is first. */
export async function expectErrors(
  calls: Promise<unknown>[],
  ...error: [code: DetectorErrorCode, ...words: string[]]
): Promise<void> {
  await Promise.all(calls.map((call) => expectError(call, ...error)));
}
