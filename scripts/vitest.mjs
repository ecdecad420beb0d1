import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run, tool } from './program.mjs';

/** Runs the tests, and counts them; the exit code and the counts. */
export async function runVitest(args) {
  const folder = mkdtempSync(join(tmpdir(), 'dinov3-det-test-'));
  const report = join(folder, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const code = await run(tool('vitest'), 'run', ...reporters, ...args);
    return { code, ...countTests(report) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function countTests(report) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
      readFileSync(report, 'utf8'),
    );
    // A file that failed before its first test has none to count.
    const brokenFiles = testResults.filter(
      ({ status, assertionResults }) =>
        status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
    );
    return {
      passed: numPassedTests,
      failed: numFailedTests + brokenFiles.length,
      skipped: numPendingTests + numTodoTests,
    };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }; // vitest wrote no report: it did not get to its end
  }
}
