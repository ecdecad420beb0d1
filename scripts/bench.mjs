// `npm run bench`: set-up, then ours against the Python reference. Arguments go to test/bench/main.ts, but for --create-venv.
import { join } from 'node:path';

import { root, run } from './program.mjs';
import { createVenv, findPython } from './reference-venv.mjs';
import { main, setup } from './setup.mjs';

await main(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--create-venv')) {
    console.log(await createVenv());
    return 0;
  }
  await setup({ tests: true });
  process.env.DINOV3_DET_TORCH_PYTHON = findPython() ?? '';
  return run(process.execPath, '--import', 'tsx', join(root, 'test', 'bench', 'main.ts'), ...args);
});
