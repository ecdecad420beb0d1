// `npm run check:package -- TARBALL [--every-platform]`: what must hold before anyone installs it. The addon of the
// platform that this runs on must be in it, or with the option that of every platform, as in a release.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

import { root, run, tool } from './program.mjs';
import { main } from './setup.mjs';

const releasePlatforms = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64'];

const allowedFiles = [
  /^(package\.json|README\.md|LICENSE|CMakeLists\.txt)$/,
  /^dist\/[\w./-]+\.(js|d\.ts|cjs|d\.cts)$/,
  /^native\/[\w/-]+\.(cc|h)$/, // with CMakeLists.txt: for a LibTorch of another version than the prebuilt addon's
  /^configs\/[\w-]+\.(yaml|schema\.json)$/,
  /^dist\/chunks\/LICENSE\.txt$/,
  /^docs\/licenses\/[\w.-]+$/,
  /^(docs\/[\w-]+|(configs|native[\w/-]*)\/README)\.md$/,
  /^scripts\/export_backbone\.py$/,
  /^prebuilds\/(linux|darwin|win32)-(x64|arm64)\/(node\.napi(\.glibc)?|loader\/libtorch_loader)\.node$/,
];

/** The licence texts that go along, and whose they have to name. */
const licenceTexts = {
  LICENSE: [],
  'docs/licenses/libtorch.txt': [],
  'dist/chunks/LICENSE.txt': ['echarts', 'tslib', 'zrender'],
};

/** Bytes of the tarball: of everything that every platform shares, and of each prebuilt addon. */
const sizeLimit = { shared: 1_000_000, platform: 900_000 };

/** A source file named by its place on the machine that compiled it. */
const absoluteSource = /(?<![\w.)}-])(?:\/|[A-Z]:[\\/])[\w.+-]+[\\/][\w .+\\/-]*\.(?:cc|cpp|cxx|c|h|hpp)\b/;

const checks = [
  function files({ names }) {
    return names
      .filter((name) => !allowedFiles.some((pattern) => pattern.test(name)))
      .map((name) => `${name} does not belong into the package`);
  },

  function prebuilds({ names, platforms }) {
    return platforms
      .flatMap((platform) => {
        const addon = platform.startsWith('linux') ? 'node.napi.glibc.node' : 'node.napi.node';
        return [addon, 'loader/libtorch_loader.node'].map((file) => `prebuilds/${platform}/${file}`);
      })
      .filter((name) => !names.includes(name))
      .map((name) => `${name} is missing: npm run prebuild makes it on its platform`);
  },

  /** npm runs no scripts of dependencies any more. It and yarn would run node-gyp for a binding.gyp, which is not in the package. */
  function scripts({ manifest }) {
    const found = ['preinstall', 'install', 'postinstall', 'prepare'].filter((name) => manifest.scripts?.[name]);
    const problems = found.map((name) => `package.json has the script "${name}", which an install would run`);
    return manifest.gypfile === false ? problems : [...problems, 'package.json does not say "gypfile": false'];
  },

  function entries({ names, manifest }) {
    const targets = [
      ...Object.values(manifest.bin ?? {}),
      ...Object.values(manifest.exports).flatMap((entry) => leavesOf(entry)),
    ];
    const missing = targets.filter((target) => !names.includes(target.replace(/^\.\//, '')));
    const untyped = Object.entries(manifest.exports).filter(([, entry]) => {
      const leaves = leavesOf(entry);
      return leaves.some((path) => /\.[cm]?js$/.test(path)) && !leaves.some((path) => /\.d\.[cm]?ts$/.test(path));
    });
    return [
      ...missing.map((target) => `package.json names ${target}, which is not in the package`),
      ...untyped.map(([name]) => `the export "${name}" has no types`),
    ];
  },

  function licences({ names, folder }) {
    return Object.entries(licenceTexts).flatMap(([path, packages]) => {
      if (!names.includes(path)) return [`${path} is missing: npm run setup makes what belongs into dist`];
      const text = readFileSync(join(folder, path), 'utf8');
      const missing = packages.filter((name) => !new RegExp(`^${name} \\d`, 'm').test(text));
      return missing.map((name) => `${path} lacks the licence of ${name}`);
    });
  },

  /** What is bundled into dist for the package may still be imported by a dist that was compiled by hand. */
  async function imports({ names, manifest, folder }) {
    const { build } = await import('esbuild'); // not there before set-up
    const options = {
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      write: false,
      outdir: folder,
    };
    const { errors, metafile } = await build({
      ...options,
      absWorkingDir: folder,
      entryPoints: names.filter((name) => /^dist\/.*\.c?js$/.test(name)),
      metafile: true,
      logLevel: 'silent',
    }).catch((error) => error);
    // Electron has its own in it; a peer that is optional is imported where its user has installed it.
    const peers = Object.keys(manifest.peerDependencies ?? {});
    const installed = ['electron', ...Object.keys(manifest.dependencies), ...peers];
    const isMissing = ({ path, external }) => external && !isBuiltin(path) && !installed.includes(packageOf(path));
    return [
      ...errors.map(({ text, location }) => `${location?.file}: ${text}`),
      ...Object.entries(metafile?.inputs ?? {}).flatMap(([name, { imports }]) =>
        imports
          .filter(isMissing)
          .map(({ path }) => `${name} imports ${path}, which an install does not bring: npm run setup makes dist anew`),
      ),
    ];
  },

  function size({ names, tarball }) {
    const addons = names.filter((name) => /^prebuilds\/[^/]+\/[^/]+\.node$/.test(name)).length;
    const [bytes, limit] = [statSync(tarball).size, sizeLimit.shared + addons * sizeLimit.platform];
    return bytes > limit ? [`the tarball has ${bytes} bytes, more than ${limit}`] : [];
  },

  function paths({ names, folder }) {
    const ours = [root, homedir()].filter((path) => path.length > 4).map((path) => path.replace(/[\\/]$/, ''));
    return names.flatMap((name) => {
      const text = readFileSync(join(folder, name), 'latin1');
      const found =
        ours.find((path) => text.includes(path)) ?? (name.endsWith('.node') && absoluteSource.exec(text)?.[0]);
      return found ? [`${name} holds a path of the machine that built it: ${found}`] : [];
    });
  },
];

const leavesOf = (entry) => (typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(leavesOf));

const packageOf = (specifier) => /^(@[^/]+\/)?[^/]+/.exec(specifier)[0];

/** Everything that is wrong with a tarball, as sentences. */
async function problemsOf(tarball, platforms) {
  const folder = mkdtempSync(join(tmpdir(), 'dinov3-det-package-'));
  try {
    if ((await run('tar', '-xzf', tarball, '-C', folder, '--strip-components=1')) !== 0) return [`${tarball} is none`];
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const names = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
    const context = { names, manifest, tarball, folder, platforms };
    const problems = (await Promise.all(checks.map((check) => check(context)))).flat();
    return problems.length > 0 ? problems : await problemsByTools(tarball);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Node.js 20.19 and later take ES modules from `require`, so attw's rule against that is for older ones. */
async function problemsByTools(tarball) {
  const attw = [tool('attw'), tarball, '--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm', '--no-emoji'];
  const tools = { publint: [tool('publint'), 'run', tarball, '--strict'], attw };
  const problems = [];
  for (const [name, command] of Object.entries(tools)) {
    if ((await run(...command)) !== 0) problems.push(`${name} found something: see above`);
  }
  return problems;
}

/** Checks a tarball, and says what is wrong; the exit code. */
export async function checkPackage(tarball, { everyPlatform = false } = {}) {
  const platforms = everyPlatform ? releasePlatforms : [`${process.platform}-${process.arch}`];
  const problems = await problemsOf(tarball, platforms);
  for (const problem of problems) console.error(`Problem: ${problem}`);
  if (problems.length === 0) console.log(`${tarball} is in order`);
  return problems.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(async () => {
    const [tarball, option] = process.argv.slice(2);
    if (tarball === undefined) throw new Error('Name a tarball: npm run check:package -- dinov3-det-0.1.0.tgz');
    return checkPackage(resolve(tarball), { everyPlatform: option === '--every-platform' });
  });
}
