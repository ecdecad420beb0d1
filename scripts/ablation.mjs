// `npm run ablation`: set-up, then test/bench/ablation: recipes against each other on a data set, over several seeds.
import { join } from 'node:path';

import { root, run } from './program.mjs';
import { main, setup } from './setup.mjs';

await main(async () => {
  await setup();
  const script = join(root, 'test', 'bench', 'ablation', 'main.ts');
  return run(process.execPath, '--import', 'tsx', script, ...process.argv.slice(2));
});
