// `npm test`: set-up, types, lint, then every test. Arguments go to vitest; a failed check does not hide the next one.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run, tool } from './program.mjs';
import { main, setup } from './setup.mjs';

const checks = [
  ['types', tool('tsc'), '-p', 'tsconfig.json'],
  ['lint', tool('biome'), 'check', '.'],
  ['native lint', process.execPath, 'scripts/lint-native.mjs'],
];

await main(async () => {
  await setup({ tests: true });
  const failures = [];
  for (const [name, ...command] of checks) {
    console.error(`check: ${name}`);
    const code = await run(...command);
    if (code !== 0) failures.push({ name, code });
  }
  const { code, passed, failed, skipped } = await runVitest(process.argv.slice(2));
  if (code !== 0) failures.push({ name: 'tests', code });
  if (failures.length > 0) console.log(`Failed: ${failures.map(({ name }) => name).join(', ')}`);
  // A failed check counts as one failed test: the last line never looks better than the exit code.
  const failedChecks = failures.filter(({ name }) => name !== 'tests').length;
  console.log(`${passed} passed, ${failed + failedChecks} failed, ${skipped} skipped`);
  return failures[0]?.code ?? 0;
});

async function runVitest(args) {
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
