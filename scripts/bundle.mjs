// The last step of compiling: replaces what the compiler made of lib/ by a few bundles. A program that imports the library then opens
// 40 files instead of 130, and dist has a third of the files. Packages that an install brings stay outside; of the chart
// library, which it does not bring, the modules that are used go in, with the licences of their packages.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { root } from './program.mjs';

const dist = join(root, 'dist');

/** What runs by its path, below lib/: processes of their own, and what the scripts of this folder import. */
const programs = [
  'electron/service-main',
  'cli/benchmark/child',
  'cli/output/install-progress',
  'libtorch/build',
  'libtorch/find',
  'libtorch/install/install',
];

export async function bundle() {
  const { build, transform } = await import('esbuild'); // not there before set-up
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const modules = publicFiles(manifest, 'default', '.js').map((path) => path.replace(/\.js$/, ''));
  removeFiles((path) => path.endsWith('.js'));
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [...new Set([...modules, ...programs])].map((path) => `lib/${path}.ts`),
    outbase: 'lib',
    outdir: 'dist',
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true, // where the source says import(), and where entries share code
    external: ['electron', ...Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })],
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    define: { 'process.env.NODE_ENV': '"production"' },
    metafile: true,
  });
  const foreign = Object.entries(metafile.outputs).map(([path, { inputs }]) => [path, packagesOf(Object.keys(inputs))]);
  for (const [path, packages] of foreign) {
    if (packages.length > 0) await minify(transform, join(root, path));
  }
  const licences = [...new Set(foreign.flatMap(([, packages]) => packages))].sort().map(licenceOf);
  writeFileSync(join(dist, 'chunks', 'LICENSE.txt'), licences.join('\n'));
  const types = reachable([...publicFiles(manifest, 'types', '.d.ts'), 'electron/preload.d.cts']);
  removeFiles((path) => /\.d\.c?ts$/.test(path) && !types.has(path));
}

/** The files that package.json names, below dist/. */
function publicFiles(manifest, condition, extension) {
  const targets = [...Object.values(manifest.exports).map((entry) => entry[condition]), ...Object.values(manifest.bin)];
  return targets.filter((path) => path?.endsWith(extension)).map((path) => relative('dist', path));
}

/** Our own code stays as it can be read in a stack; that of others has its sources elsewhere. */
async function minify(transform, path) {
  const { code } = await transform(readFileSync(path, 'utf8'), { minify: true, format: 'esm', target: 'node20.19' });
  writeFileSync(path, code);
}

function removeFiles(isMeant) {
  for (const path of readdirSync(dist, { recursive: true })) {
    if (isMeant(path)) rmSync(join(dist, path));
  }
}

/** The declarations that public ones name, and they themselves. */
function reachable(paths, found = new Set()) {
  for (const path of paths) {
    if (found.has(path)) continue;
    found.add(path);
    const imports = [
      ...readFileSync(join(dist, path), 'utf8').matchAll(/(?:from|import\()\s*['"](\.[^'"]+?)\.(c?)[jt]s['"]/g),
    ];
    reachable(
      imports.map(([, name, c]) => `${join(dirname(path), name)}.d.${c}ts`),
      found,
    );
  }
  return found;
}

function packagesOf(files) {
  return [...new Set(files.flatMap((file) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []))];
}

function licenceOf(folder) {
  const path = join(root, folder);
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  const texts = readdirSync(path, { recursive: true })
    .filter((file) => /^(licenses[\\/])?(LICENSE|NOTICE|CopyrightNotice)[^\\/]*$/.test(file))
    .sort()
    .map((file) => readFileSync(join(path, file), 'utf8').trim());
  if (texts.length === 0) throw new Error(`${folder} has no licence text that could go with its code`);
  return [`${name} ${version} (${license})`, ...texts].map((text) => `${text}\n`).join('\n');
}
