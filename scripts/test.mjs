// `npm test`: set-up, types, lint, then every test. Arguments go to vitest; a failed check does not hide the next one.
import { run, tool } from './program.mjs';
import { main, setup } from './setup.mjs';
import { runVitest } from './vitest.mjs';

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
