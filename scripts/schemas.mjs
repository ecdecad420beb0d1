// `npm run docs`: writes the JSON Schemas in configs/, by which editors complete and check YAML files, from the tables of options.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tsImport } from 'tsx/esm/api';

import { root } from './program.mjs';

const { schemas } = await tsImport('../lib/cli/options/schemas.ts', import.meta.url);
for (const [name, schema] of Object.entries(schemas())) {
  writeFileSync(join(root, 'configs', name), `${JSON.stringify(schema, null, 2)}\n`);
}
