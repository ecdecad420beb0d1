import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { codeBlocks, pages, root } from '../support/markdown.ts';
import { temporaryFolder } from '../support/voc.ts';

/** What a block may use without declaring it. */
const surroundings = `
import type { Detector, VocDataset } from 'dinov3-det';
import type { DetectorBridge } from 'dinov3-det/electron/window';
declare global {
  const detector: Detector;
  const train: VocDataset;
  const valid: VocDataset;
  const signal: AbortSignal;
  const file: File;
  const dinov3Detector: DetectorBridge;
  const BrowserWindow: new (options: { webPreferences: { preload: string; sandbox: boolean } }) => unknown;
}`;

const paths = {
  'dinov3-det': [join(root, 'lib/index.ts')],
  'dinov3-det/onnx': [join(root, 'lib/inference/onnx.ts')],
  'dinov3-det/web': [join(root, 'lib/inference/web.ts')],
  'dinov3-det/electron': [join(root, 'lib/electron/index.ts')],
  'dinov3-det/electron/window': [join(root, 'lib/electron/window.ts')],
};

/** What the compiler says of modules, by name: nothing when all is well. */
async function compile(modules: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'blocks'));
  for (const [name, code] of Object.entries(modules))
    await writeFile(join(folder, 'blocks', name), `${code}\nexport {};\n`);
  await writeFile(join(folder, 'blocks', 'surroundings.d.ts'), surroundings);
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        paths,
        module: 'esnext',
        moduleResolution: 'bundler',
        lib: ['es2023', 'esnext.disposable', 'dom'],
        typeRoots: [join(root, 'node_modules/@types')],
        noUnusedLocals: false,
      },
      include: ['blocks'],
    }),
  );
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  return new Promise((resolve) =>
    execFile(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder }, (_, stdout) =>
      resolve(stdout),
    ),
  );
}

it('every block of TypeScript and JavaScript on a page type-checks against the library', async () => {
  const blocks = pages
    .filter(({ isGenerated }) => !isGenerated) // declarations, which are no programs
    .flatMap(({ path, text }) => codeBlocks(text).map((block) => ({ path, ...block })))
    .filter(({ language }) => language === 'ts' || language === 'js');
  expect(blocks.length).toBeGreaterThan(10);
  const modules = blocks.map(({ path, line, code }) => [`${path.replaceAll('/', '_')}_line_${line}.ts`, code]);
  expect(await compile(Object.fromEntries(modules))).toBe('');
});

it('a wrong block is seen', async () => {
  const found = await compile({ 'wrong.ts': 'await detector.summary({ finetune: true });' });
  expect(found).toContain('wrong.ts(1,');
  expect(found).toContain("'finetune' does not exist");
});
