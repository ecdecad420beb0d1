// `npm run demo`: set-up, then the whole job on drawn images. Arguments go to the command.
import { run } from './program.mjs';
import { main, setup } from './setup.mjs';

await main(async () => {
  await setup();
  return run(process.execPath, 'dist/cli/main.js', 'demo', ...process.argv.slice(2));
});
