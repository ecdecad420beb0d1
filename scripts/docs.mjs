// `npm run docs`: writes the pages of docs/ that come from the sources. `--check` compares instead of writing; a FOLDER takes the place
// of docs/.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { apiPage } from './api-page.mjs';
import { commandLinePage } from './command-line-page.mjs';
import { root } from './program.mjs';
import { main } from './setup.mjs';

const pages = { 'api.md': apiPage, 'command-line.md': commandLinePage };

await main(async () => {
  const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true });
  const folder = positionals[0] ?? join(root, 'docs');
  for (const [name, write] of Object.entries(pages)) {
    const [path, text] = [join(folder, name), await write()];
    if (!values.check) writeFileSync(path, text);
    else if (readFileSync(path, 'utf8') !== text) throw new Error(`${path} is out of date: run "npm run docs"`);
  }
  return 0;
});
