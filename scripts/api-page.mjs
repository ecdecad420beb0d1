// The page docs/api.md: everything that package.json exports, from the declarations that the compiler makes of the sources.
// No documentation tool takes TypeScript 7, and none is needed: the compiler has resolved the types, dropped what is private and
// kept the docstrings.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';

import { root, run, tool } from './program.mjs';

const { name: packageName, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const headings = { class: 'Classes', function: 'Functions', const: 'Values', interface: 'Types', type: 'Types' };
const named = 'Types that these use';
const introduction = `# API reference

After this page you can look up every class, function and type that \`dinov3-det\` exports: what it takes, what it returns, and what it
throws.

- A wrong argument is a \`TypeError\` or \`RangeError\` that names the argument.
- Every other failure is a [\`DetectorError\`](#detectorerror) with a \`code\`. [Troubleshooting](troubleshooting.md) explains each code.
- Sizes are in pixels. Boxes are corners in pixels of the image that they belong to. Durations are in seconds. A docstring says where it is
  different.

\`npm run docs\` writes this page from the docstrings in the sources.
`;

/** The text of the page. */
export async function apiPage() {
  const folder = mkdtempSync(join(tmpdir(), 'dinov3-det-docs-'));
  try {
    const code = await run(tool('tsc'), '-p', 'tsconfig.build.json', '--emitDeclarationOnly', '--outDir', folder);
    if (code !== 0) throw new Error('The declarations could not be made: see above');
    return render(collect(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Every exported symbol, then every one that those name: `{ entry, name, kind, path, doc, code, uses }`. */
function collect(folder) {
  const modules = new Map();
  const moduleOf = (path) => {
    if (!modules.has(path)) modules.set(path, parseModule(path, readFileSync(join(folder, path), 'utf8')));
    return modules.get(path);
  };
  const symbols = new Map();
  const add = (entry, path, name) => {
    const module = moduleOf(path);
    const from = module.names.get(name);
    if (!module.declarations.has(name)) return from ? add(entry, from.path, from.name) : undefined;
    const key = `${path} ${name}`;
    if (symbols.has(key)) return key;
    const symbol = { ...module.declarations.get(name), entry, path, name, uses: [] };
    symbols.set(key, symbol);
    for (const used of identifiers(symbol.code)) if (used !== name) symbol.uses.push([path, used]);
    return key;
  };
  for (const [entry, path] of entryPoints()) for (const name of moduleOf(path).exports) add(entry, path, name);
  // A map may grow while it is gone through: what is named by what is named comes along.
  for (const symbol of symbols.values()) {
    symbol.uses = symbol.uses.map(([path, name]) => symbols.get(add(undefined, path, name))).filter(Boolean);
  }
  const bare = [...symbols.values()].filter(({ entry, doc }) => entry && doc === '');
  if (bare.length > 0) throw new Error(`Without a docstring: ${bare.map(({ name }) => name).join(', ')}`);
  return [...symbols.values()];
}

/** The declaration files that package.json names, by the name under which they are imported. */
function entryPoints() {
  return Object.entries(exports).flatMap(([key, target]) => {
    const types = /dist\/([^"]*?\.d\.[cm]?ts)"/.exec(JSON.stringify(target))?.[1];
    return types ? [[posix.join(packageName, key), types]] : [];
  });
}

function parseModule(path, text) {
  const module = { declarations: new Map(), names: new Map(), exports: [] };
  for (const [, keyword, list, from] of text.matchAll(/^(import|export) (?:type )?\{([^}]*)\} from '(\.[^']*)'/gm)) {
    const source = posix.join(posix.dirname(path), from.replace(/\.([cm]?)[jt]s$/, '.d.$1ts'));
    for (const item of list.split(',').filter((item) => item.trim() !== '')) {
      const [name, alias = name] = item
        .trim()
        .replace(/^type /, '')
        .split(' as ');
      module.names.set(alias, { path: source, name });
      if (keyword === 'export') module.exports.push(alias);
    }
  }
  // A docstring, the first line of a statement, and the lines that go on with it.
  const statement =
    /^(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?(export )?(?:declare )?(class|interface|type|const|function) (\w+).*\n(?:[\s})\]].*\n?)*/gm;
  for (const [whole, doc, exported, kind, name] of text.matchAll(statement)) {
    const code = tidy(whole.slice(doc?.length ?? 0));
    const earlier = module.declarations.get(name); // the overloads of a function
    module.declarations.set(name, {
      kind,
      doc: earlier?.doc ?? prose(doc ?? ''),
      code: earlier ? `${earlier.code}\n${code}` : code,
    });
    if (exported && !earlier) module.exports.push(name);
  }
  for (const declaration of module.declarations.values()) {
    spellOut(declaration, module);
    spellOutTables(declaration, module);
  }
  return module;
}

/** `(typeof names)[number]`: the names themselves, and if need be what is said of the list. */
function spellOut(declaration, { declarations }) {
  const list = declarations.get(/= \(typeof (\w+)\)\[number\];$/.exec(declaration.code)?.[1]);
  const names = list?.code.match(/'[^']*'/g)?.join(' | ');
  if (names === undefined) return; // a list that is made of others has no names of its own
  declaration.code = declaration.code.replace(/\(typeof .*\)\[number\]/, names);
  declaration.doc ||= list.doc;
}

/** `extends Given<typeof table>`: the options of the table, as properties. */
function spellOutTables(declaration, { declarations }) {
  const [head, list] = /^interface \w+ extends (.*) \{/.exec(declaration.code) ?? [];
  const tables = [...(list ?? '').matchAll(/(Given|Resolved)<(?:Kept<)?typeof (\w+)>?>/g)];
  if (tables.length === 0) return;
  const bases = list
    .replace(/(?:Given|Resolved)<(?:Kept<)?typeof \w+>?>/g, '')
    .split(/, ?/)
    .filter(Boolean);
  const properties = tables.flatMap(([whole, form, name]) => {
    const code = declarations.get(name)?.code ?? '';
    return [
      ...code.matchAll(/^((?: {2}\/\*\*[\s\S]*?\*\/\n)?) {2}(\w+): import\("[^"]*"\)\.Option<([\s\S]*?)>;$/gm),
    ].flatMap(([, doc, name, types]) => propertyOf(form, whole.includes('Kept<'), doc, name, splitTypes(types)));
  });
  const from = bases.length > 0 ? ` extends ${bases.join(', ')}` : '';
  const own = declaration.code.slice(head.length).trim();
  declaration.code = `${head.split(' extends ')[0]}${from} {\n${properties.join('')}${own === '}' ? '' : '  '}${own}`;
}

function propertyOf(form, keptOnly, doc, name, [given, resolved, marks]) {
  if (keptOnly && !marks.includes('kept')) return [];
  const isThere = form === 'Given' ? marks.includes('required') : /required|set/.test(marks);
  const type = (form === 'Given' ? given : resolved)
    .replace(/import\("[^"]*"\)\./g, '')
    .replace(/\s+/g, ' ')
    .replaceAll('"', "'");
  return [`${doc}  ${name}${isThere ? '' : '?'}: ${type};\n`];
}

/** The types between the commas of a list of them. */
function splitTypes(text) {
  const types = [''];
  let depth = 0;
  for (const [i, letter] of [...text].entries()) {
    if ('<({['.includes(letter)) depth++;
    if (')}]'.includes(letter) || (letter === '>' && text[i - 1] !== '=')) depth--;
    if (letter === ',' && depth === 0) types.push('');
    else types[types.length - 1] += letter;
  }
  return types.map((type) => type.trim());
}

function prose(doc) {
  return doc
    .replace(/^\/\*\*|\*\/\s*$/g, '')
    .replace(/^\s*\* ?/gm, '')
    .trim();
}

/** The declaration as a user of the symbol sees it. */
function tidy(code) {
  return code
    .replace(/^(export )?(declare )?/, '')
    .replace(/^ +(#private|private constructor\(.*\));\n/gm, '')
    .replace(/^( +)/gm, (spaces) => spaces.slice(spaces.length / 2))
    .trim();
}

function identifiers(code) {
  return new Set(code.replace(/\/\*\*(?:(?!\*\/)[\s\S])*\*\/|'[^']*'/g, '').match(/[A-Za-z_]\w*/g));
}

/** Under which heading a symbol stands. */
function titleOf({ entry, kind }) {
  if (entry === undefined) return named;
  return entry === packageName ? headings[kind] : entry;
}

/** As GitHub makes them: of headings with the same words the second has -1 at its end. */
function anchorsOf(symbols) {
  const seen = new Map();
  return new Map(
    symbols.map((symbol) => {
      const word = symbol.name.toLowerCase();
      const count = seen.get(word) ?? 0;
      seen.set(word, count + 1);
      return [symbol, count === 0 ? word : `${word}-${count}`];
    }),
  );
}

function render(symbols) {
  const others = symbols.map(titleOf).filter((title) => title !== named);
  const titles = [...new Set([...Object.values(headings), ...others, named])];
  const key = ({ name, path }) => `${name.toLowerCase()} ${path}`;
  const sorted = [...symbols].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  const groups = titles.map((title) => [title, sorted.filter((symbol) => titleOf(symbol) === title)]);

  const anchors = anchorsOf(groups.flatMap(([, list]) => list));
  const link = (symbol) => `[\`${symbol.name}\`](#${anchors.get(symbol)})`;
  const links = (list) => list.map(link).join(', ');

  const source = ({ path }) => path.replace('.d.', '.');
  const section = (symbol) =>
    [
      `### ${symbol.name}`,
      `In [${source(symbol)}](../lib/${source(symbol)}).${symbol.doc && ' '}${symbol.doc}`,
      `\`\`\`ts\n${symbol.code}\n\`\`\``,
      symbol.uses.length > 0 ? `See ${links(symbol.uses)}.` : '',
    ].filter((part) => part !== '');

  const contents = groups.map(([title, list]) => `- ${title}: ${links(list)}`).join('\n');
  const body = groups.flatMap(([title, list]) => [`## ${title}`, ...list.flatMap(section)]);
  return `${[introduction.trimEnd(), contents, ...body].join('\n\n')}\n`;
}
