import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpoint, saveCheckpoint } from '../../lib/detector/checkpoint.ts';

/** A checkpoint that says which one it is, in every file. */
const FILES = ['model.safetensors', 'optimizer.safetensors'];

/** Its size lets a kill come within a write. */
const contentOf = (number: number) => `${number} `.repeat(200_000);

export const whole = (dir: string, number: number) =>
  saveCheckpoint(
    dir,
    { createdBy: 'campaign', classes: ['a'], model: {}, training: { epoch: number } },
    Object.fromEntries(FILES.map((name) => [name, (path: string) => writeFile(path, contentOf(number))])),
  );

/** Saves as one would without thinking: the control. */
export async function careless(dir: string, number: number): Promise<void> {
  const { mkdir } = await import('node:fs/promises');
  await mkdir(dir, { recursive: true });
  for (const name of FILES) await writeFile(join(dir, name), contentOf(number));
  await writeFile(join(dir, 'checkpoint.json'), JSON.stringify({ epoch: number }));
}

/** The number of the checkpoint; throws where it is not whole. */
export async function openWhole(dir: string): Promise<number> {
  const { manifest, path } = await openCheckpoint(dir);
  const number = manifest.training!.epoch;
  for (const name of FILES) {
    if ((await readFile(path(name), 'utf8')) !== contentOf(number)) throw new Error(`${name} is not of save ${number}`);
  }
  return number;
}

export async function openCareless(dir: string): Promise<number> {
  const { epoch } = JSON.parse(await readFile(join(dir, 'checkpoint.json'), 'utf8'));
  for (const name of FILES) {
    if ((await readFile(join(dir, name), 'utf8')) !== contentOf(epoch))
      throw new Error(`${name} is not of save ${epoch}`);
  }
  return epoch;
}
