// clang-format (`--fix` writes), and the rules that keep the rings of native/ apart.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

import { root, run, tool } from './program.mjs';

const files = ['native', 'test/native']
  .filter((folder) => existsSync(join(root, folder)))
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && /\.(cc|h)$/.test(entry.name))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
  .sort();

const rules = [
  {
    applies: (file) => file.startsWith('native/') && !file.startsWith('native/binding/'),
    pattern: /#\s*include\s*[<"](napi|node_api|js_native_api)\.h/,
    message: 'only native/binding knows Node.js',
  },
  {
    applies: (file) => file.endsWith('.h'),
    pattern: /^\s*using\s+namespace\b/,
    message: 'a header opens no namespace',
  },
];

function violations(file) {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  return rules
    .filter(({ applies }) => applies(file))
    .flatMap(({ pattern, message }) =>
      lines.flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${message}`] : [])),
    );
}

const found = files.flatMap(violations);
for (const violation of found) console.error(violation);
const mode = process.argv.includes('--fix') ? ['-i'] : ['--dry-run', '--Werror'];
const formatCode = files.length === 0 ? 0 : await run(tool('clang-format-node'), ...mode, ...files);
process.exitCode = found.length > 0 ? 1 : formatCode;
