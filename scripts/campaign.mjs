// `npm run campaign`: set-up, then test/campaign/main.ts, which takes the arguments.
import { join } from 'node:path';

import { root, run } from './program.mjs';
import { main, setup } from './setup.mjs';

await main(async () => {
  await setup({});
  return run(process.execPath, '--import', 'tsx', join(root, 'test', 'campaign', 'main.ts'), ...process.argv.slice(2));
});
