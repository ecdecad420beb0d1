// npm packages, TypeScript, LibTorch and the addon: does what is missing or out of date, and nothing else.
// Plain Node.js without packages: it runs before there are any. `--tests` builds the test addon too; `--debug` and `--asan` build both
// for who works on native/ (its README.md says how to use them), until it is run without them again.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { bundle } from './bundle.mjs';
import { withLock } from './lock.mjs';
import { root, run, tool } from './program.mjs';

const stampPath = join(root, '.setup-stamp.json');

/** Makes this checkout ready to run; without the addon it needs no LibTorch. */
export async function setup({ addon = true, tests = false, kind = 'release' } = {}) {
  checkNode();
  const onWait = (pid) => say(`waiting for the set-up that process ${pid} is doing`);
  await withLock(join(root, '.setup.lock'), onWait, async () => {
    await installPackages();
    await compileTypeScript();
    if (!addon) return;
    const libtorch = await provideLibtorch();
    await compileAddon(libtorch, tests, kind);
  });
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(`Node.js 20.19 or newer is needed, and this is ${process.version}: see https://nodejs.org`);
  }
}

async function installPackages() {
  if (arePackagesCurrent()) return;
  say('installing npm packages');
  // Its package has all that a CPU needs; what it would fetch besides is for CUDA, and not from npm's registry.
  process.env.ONNXRUNTIME_NODE_INSTALL ??= 'skip';
  if ((await run('npm', 'ci')) !== 0) throw new Error('npm ci failed: see above');
}

/** npm writes what it has installed last: a missing or older list means an unfinished or older install. */
function arePackagesCurrent() {
  const wanted = readJson('package-lock.json')?.packages;
  const installed = readJson('node_modules/.package-lock.json')?.packages;
  if (installed === undefined) return false;
  return Object.entries(wanted).every(([path, { version, integrity, optional }]) => {
    const found = installed[path];
    if (path === '') return true;
    return found ? found.version === version && found.integrity === integrity : optional === true;
  });
}

async function compileTypeScript() {
  const sources = [
    'lib',
    'tsconfig.json',
    'tsconfig.build.json',
    'package.json',
    'package-lock.json',
    'scripts/bundle.mjs',
  ];
  // With what came of them: a dist that somebody compiled by hand has no bundle.
  const state = () => hashOf(...sources, 'dist');
  if (readStamp().dist === state()) return;
  say('compiling TypeScript');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  if ((await run(tool('tsc'), '-p', 'tsconfig.build.json')) !== 0)
    throw new Error('TypeScript did not compile: see above');
  await bundle();
  chmodSync(join(root, 'dist', 'cli', 'main.js'), 0o755); // npx runs it as it is
  writeStamp({ dist: state() });
}

async function provideLibtorch() {
  const { findLibtorch } = await import('../dist/libtorch/find.js');
  try {
    return await findLibtorch();
  } catch (error) {
    const isAsked = ['LIBTORCH', 'LIBTORCH_USE_PYTORCH'].some((name) => process.env[name]);
    if (error.code !== 'LIBTORCH_NOT_FOUND' || isAsked) throw error;
  }
  say('installing LibTorch into the cache of this user');
  const { installLibtorch } = await import('../dist/libtorch/install/install.js');
  const { showInstallProgress } = await import('../dist/cli/output/install-progress.js');
  const progress = showInstallProgress();
  const interruption = new AbortController();
  const onInterrupt = () => interruption.abort(new Error('interrupted'));
  process.once('SIGINT', onInterrupt);
  try {
    return await installLibtorch({ onProgress: progress.onProgress, signal: interruption.signal });
  } finally {
    progress.stop();
    process.removeListener('SIGINT', onInterrupt);
  }
}

async function compileAddon(libtorch, tests, kind) {
  const place = `${libtorch.dir} ${libtorch.version} ${kind}`;
  const sources = `${hashOf('native', 'CMakeLists.txt', 'package-lock.json')} ${place}`;
  const testSources = `${hashOf('test/native')} ${sources}`;
  const stamp = readStamp();
  const isCurrent = stamp.addon === sources && isBuilt('dinov3_det.node') && isBuilt('loader/libtorch_loader.node');
  const areTestsCurrent = stamp.testAddon === testSources && isBuilt('test/dinov3_det_test.node');
  if (isCurrent && (areTestsCurrent || !tests)) return;
  // Each kind has a folder of its own, where nothing is compiled twice; the addons are linked anew.
  if (stamp.kind !== kind) rmSync(join(root, 'build', 'Release'), { recursive: true, force: true });
  say(`compiling the addon against LibTorch ${libtorch.version}: a few minutes the first time`);
  const { buildAddon } = await import('../dist/libtorch/build.js');
  await buildAddon({ libtorch, tests, kind, onLine: showBuildLine });
  writeStamp({ kind, addon: sources, testAddon: tests ? testSources : undefined });
}

/** Node itself is not built with AddressSanitizer: its library has to come first, and its own leaks and stacks are not looked at. */
function sayHowToRunAsan() {
  const compiler = process.env.CXX ?? 'c++';
  const library = execFileSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
  say('run a test with it:');
  console.error(
    `  LD_PRELOAD=${library} ASAN_OPTIONS=detect_leaks=0,use_sigaltstack=0 npx vitest run test/native/ops --maxWorkers=1`,
  );
}

/** Of the compiler's words those that matter: files compiled, warnings, errors. */
function showBuildLine(line) {
  if (/^\[\s*\d+[%/]|warning:|error:|CMake (Error|Warning)/.test(line)) console.error(`  ${line}`);
}

function isBuilt(file) {
  return existsSync(join(root, 'build', 'Release', file));
}

/** Changes when a file below these paths changes, comes or goes. */
function hashOf(...paths) {
  const hash = createHash('sha256');
  for (const file of paths.flatMap(filesBelow)) {
    hash
      .update(`${relative(root, file)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return hash.digest('hex');
}

function filesBelow(path) {
  const full = join(root, path);
  if (!existsSync(full)) return [];
  if (/\.\w+$/.test(path)) return [full];
  const entries = readdirSync(full, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.map((entry) => join(entry.parentPath, entry.name)).sort();
}

function readStamp() {
  return readJson('.setup-stamp.json') ?? {};
}

function writeStamp(changes) {
  writeFileSync(stampPath, `${JSON.stringify({ ...readStamp(), ...changes }, null, 2)}\n`);
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), 'utf8'));
  } catch {
    return undefined;
  }
}

function say(message) {
  console.error(`set-up: ${message}`);
}

/** Runs what a script does; a failure is one clear message, and with `DEBUG` its stack. */
export async function main(action) {
  try {
    process.exitCode = await action();
  } catch (error) {
    console.error(process.env.DEBUG ? error : `Error: ${error.message}`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(async () => {
    const [debug, asan] = ['--debug', '--asan'].map((flag) => process.argv.includes(flag));
    if (debug && asan) throw new Error('Expected --debug or --asan, found both: each is a build of its own');
    const kind = asan ? 'asan' : debug ? 'debug' : 'release';
    await setup({ tests: kind !== 'release' || process.argv.includes('--tests'), kind });
    if (asan) sayHowToRunAsan();
  });
}
