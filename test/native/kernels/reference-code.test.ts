import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const detectors = fileURLToPath(new URL('../detectors.ts', import.meta.url));
const program = `
  const { addon, batchOf, options } = await import(${JSON.stringify(detectors)});
  const detector = await addon.createDetector(options);
  await addon.startTraining(detector, { optimizer: 'adamw', fineTune: true });
  await addon.trainStep(detector, await batchOf(), 1e-3, 0);`;

it("no product or convolution of a training step runs in oneDNN's reference code, which is 300 times slower", () => {
  const out = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
    encoding: 'utf8',
    env: { ...process.env, ONEDNN_VERBOSE: '1' },
  });
  const done = out
    .split('\n')
    .filter((line) => /^onednn_verbose,.*,exec,cpu,(inner_product|matmul|convolution),/.test(line));
  expect(done.length).toBeGreaterThan(10);
  expect(done.filter((line) => /,ref[:_]/.test(line))).toEqual([]);
});
