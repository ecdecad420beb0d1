import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** The doors of the package, as package.json has them. Whoever has one of them has the others, too. */
const doors = ['index', 'electron/index', 'electron/window'];

/** Where a name is declared: `file#name`. */
type Origin = string;

/** What makes a type of a table of options: an editor shows the type that comes of it. */
const machinery = /\b(Given|Resolved|Kept)</g;

interface Module {
  /** Exported names of this module and of others, and where they come from. */
  exports: Map<string, Origin>;
  /** Names of types that its declarations may use: imported ones, and its own. */
  scope: Map<string, Origin>;
  /** The text of each declaration, without comments and strings. */
  declarations: Map<string, string>;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-types-'));
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', folder];
  await promisify(execFile)(process.execPath, args);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const modules = new Map<string, Promise<Module>>();
const moduleOf = (file: string) => {
  if (!modules.has(file))
    modules.set(
      file,
      readFile(`${file}.d.ts`, 'utf8').then((text) => parse(file, text)),
    );
  return modules.get(file)!;
};

/** What a declaration file says. Each statement begins at the left edge, and whatever belongs to it is indented. */
function parse(file: string, source: string): Module {
  const text = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '').replace(/(?<!from )(["'])(?:(?!\1).)*\1/g, "''");
  const own = (name: string) => `${file}#${name}`;
  const exports = new Map<string, Origin>();
  const scope = new Map<string, Origin>();
  const declarations = new Map<string, string>();
  for (const [, kind, list, from] of text.matchAll(/^(import|export) (?:type )?\{([^}]*)\}(?: from '([^']+)')?;/gm)) {
    if (from?.startsWith('.') === false) continue;
    const origin = from === undefined ? file : join(dirname(file), from.replace(/(\.d)?\.[cm]?[jt]s$/, ''));
    for (const [, name, alias = name] of list!.matchAll(/(?:type )?(\w+)(?: as (\w+))?/g)) {
      (kind === 'import' ? scope : exports).set(alias!, `${origin}#${name}`);
    }
  }
  const starts = /^(export )?(?:declare )?(?:abstract )?(?:interface|type|class|function|const|enum) (\w+)/gm;
  for (const statement of text.split(/^(?=\S)/m)) {
    for (const [, exported, name] of statement.matchAll(starts)) {
      declarations.set(name!, (declarations.get(name!) ?? '') + statement);
      scope.set(name!, own(name!));
      if (exported) exports.set(name!, own(name!));
    }
  }
  return { exports, scope, declarations };
}

/** Follows re-exports to the declaration. */
async function resolve(origin: Origin): Promise<Origin> {
  const [file, name] = origin.split('#') as [string, string];
  const { exports, declarations } = await moduleOf(file);
  if (declarations.has(name)) return origin;
  return resolve(exports.get(name) ?? expect.fail(`${origin} is not declared`));
}

async function publicNames(door: string): Promise<Map<Origin, string>> {
  const { exports } = await moduleOf(join(folder, door));
  return new Map(await Promise.all([...exports].map(async ([name, origin]) => [await resolve(origin), name] as const)));
}

/** Types of ours that a declaration names. */
async function namedBy(origin: Origin): Promise<Origin[]> {
  const [file, name] = origin.split('#') as [string, string];
  const { scope, declarations } = await moduleOf(file);
  const words = new Set(
    declarations
      .get(name)!
      .replace(machinery, '')
      .match(/\b[A-Z]\w*/g),
  );
  return Promise.all([...words].flatMap((word) => (scope.has(word) ? [resolve(scope.get(word)!)] : [])));
}

describe.each(doors)('%s', (door) => {
  it('exports every type that one of its types names', async () => {
    const own = await publicNames(door);
    const known = new Set((await Promise.all(doors.map(publicNames))).flatMap((names) => [...names.keys()]));
    const missing = [];
    for (const [origin, name] of own) {
      for (const named of await namedBy(origin)) {
        if (!known.has(named)) missing.push(`${name} names ${relative(folder, named)}`);
      }
    }
    expect(own.size).toBeGreaterThan(3);
    expect(missing).toEqual([]);
  });
});

it('finds a type that is not exported', async () => {
  modules.set(
    '/door',
    Promise.resolve(parse('/door', `import type { B } from './b.ts';\nexport interface A { b: B; }\n`)),
  );
  modules.set(
    '/b',
    Promise.resolve(parse('/b', `/** B */\nexport interface B { c: C | 'D'; }\ninterface C { x: string }\n`)),
  );
  expect(await namedBy('/door#A')).toEqual(['/door#A', '/b#B']);
  expect(await namedBy('/b#B')).toEqual(['/b#B', '/b#C']);
});
