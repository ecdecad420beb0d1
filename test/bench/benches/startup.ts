import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Context } from '../context.ts';
import { createDetector } from '../ours/model-tasks.ts';
import { type MeasuredRow, toRow } from '../rows.ts';
import { articleWorkload } from '../workload.ts';

const library = new URL('../../../dist/index.js', import.meta.url);
const referenceFolder = fileURLToPath(new URL('../reference', import.meta.url));

/** What a user's program does until it can detect. The path of the checkpoint is its argument. */
const loading = `
import { Detector } from ${JSON.stringify(library.href)};
const detector = await Detector.load(process.argv[1]);
console.log('ready');`;

/** What reading the weights takes at least: every byte once into memory and once into SHA-256. Writes milliseconds. */
const reading = `
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
const began = performance.now();
createHash('sha256').update(await readFile(process.argv[1] + '/model.safetensors')).digest();
console.log(performance.now() - began);`;

const imports = `
import sys
sys.path.insert(0, sys.argv[1])
import torch, torchvision_nms, torchvision.models.detection.ssd
print('ready', flush=True)`;

/** From `node` to a detector that is ready, against Python's imports alone. Files are in the system's cache. */
export async function startup({ python, folder, rounds, quick, say }: Context): Promise<MeasuredRow[]> {
  if (!existsSync(library)) throw new Error('The compiled library is needed: npm run setup');
  const backbone = quick ? 'convnext_test' : articleWorkload.backbone;
  say(`startup: ${backbone}`);
  const checkpoint = join(folder, 'checkpoint');
  const detector = await createDetector({ ...articleWorkload, backbone, precision: 'fp32' });
  await detector.save(checkpoint);
  detector.dispose();

  const node = (program: string) => firstLine(process.execPath, '--input-type=module', '--eval', program, checkpoint);
  const ready: number[] = [];
  const rest: number[] = [];
  const reference: number[] = [];
  await node(loading); // fills the system's cache
  for (let round = 0; round < (rounds ?? (quick ? 3 : 9)); round++) {
    const { seconds } = await node(loading);
    ready.push(seconds);
    rest.push(seconds - Number((await node(reading)).text) / 1000);
    if (python) reference.push((await firstLine(python, '-c', imports, referenceFolder)).seconds);
  }
  const name = `node to a ready ${backbone}`;
  return [
    toRow('startup', `${name} (Python: the imports of torch and torchvision)`, 's', { ours: ready, reference }),
    toRow('startup', `${name}, less reading and hashing its weights`, 's', { ours: rest, reference }),
  ];
}

/** Seconds from the start of a program to its first output. */
async function firstLine(command: string, ...args: string[]): Promise<{ seconds: number; text: string }> {
  const began = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const [text] = await Promise.race([once(child.stdout, 'data'), closed.then(() => [''])]);
  const seconds = (performance.now() - began) / 1000;
  await closed;
  if (text === '') throw new Error(`${command} ended without a result`);
  return { seconds, text: String(text) };
}
