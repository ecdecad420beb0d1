// `npm run smoke -- TARBALL`, or a folder that holds one: what a user does first, in an empty folder, over the network. It needs no
// packages of this checkout.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { runIn } from './program.mjs';

const program = `
import { Detector } from 'dinov3-det';
import { createRequire } from 'node:module';
if (createRequire(import.meta.url)('dinov3-det').Detector !== Detector) throw new Error('require gives another module');
const detector = await Detector.create({
  classes: ['__background__', 'cat'],
  backbone: 'convnext_test',
  imageSize: { width: 64, height: 64 },
});
const data = new Uint8Array(90 * 70 * 3).fill(99);
const found = await detector.detect({ data, width: 90, height: 70 }, { scoreThreshold: 0 });
if (found.length === 0) throw new Error('nothing was detected at all');
console.log(found.length, 'boxes:', found[0]);
`;

const given = resolve(process.argv[2] ?? '.');
const tarball = given.endsWith('.tgz')
  ? given
  : join(
      given,
      readdirSync(given).find((name) => name.endsWith('.tgz')),
    );
const folder = mkdtempSync(join(tmpdir(), 'dinov3-det-smoke-'));
writeFileSync(join(folder, 'package.json'), '{ "private": true }');
writeFileSync(join(folder, 'smoke.mjs'), program);
try {
  for (const command of [
    ['npm', 'install', '--ignore-scripts', tarball],
    ['npx', 'dinov3-det', 'install'],
    ['npx', 'dinov3-det', 'doctor'],
    [process.execPath, 'smoke.mjs'],
  ]) {
    process.exitCode = await runIn(folder, ...command);
    if (process.exitCode !== 0) break;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
