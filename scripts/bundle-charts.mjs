// The last step of compiling: replaces what the compiler made of lib/images/echarts.ts and the folder beside it by bundles of the
// modules of the chart library that are used, and puts the licences of these modules' packages beside them.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './program.mjs';

const images = join('dist', 'images');

export async function bundleCharts() {
  const { build } = await import('esbuild'); // not there before set-up
  rmSync(join(root, images, 'echarts'), { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['lib/images/echarts.ts'],
    outdir: images,
    chunkNames: 'echarts/[name]-[hash]',
    bundle: true,
    splitting: true, // where the source says import()
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    define: { 'process.env.NODE_ENV': '"production"' },
    banner: { js: '/*! With parts of Apache ECharts, minified: licences in LICENSE.txt of the folder "echarts" */' },
    metafile: true,
  });
  const inputs = Object.values(metafile.outputs).flatMap((output) => Object.keys(output.inputs));
  writeFileSync(join(root, images, 'echarts', 'LICENSE.txt'), licencesOf(inputs));
}

/** The licence texts of the packages that files belong to. */
function licencesOf(files) {
  const folders = files.flatMap((file) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []);
  return [...new Set(folders)].sort().map(licenceOf).join('\n');
}

function licenceOf(folder) {
  const path = join(root, folder);
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  const texts = readdirSync(path, { recursive: true })
    .filter((file) => /^(licenses[\\/])?(LICENSE|NOTICE|CopyrightNotice)[^\\/]*$/.test(file))
    .sort()
    .map((file) => readFileSync(join(path, file), 'utf8').trim());
  if (texts.length === 0) throw new Error(`${folder} has no licence text that could go with the charts' bundle`);
  return [`${name} ${version} (${license})`, ...texts].map((text) => `${text}\n`).join('\n');
}
