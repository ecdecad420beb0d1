import { existsSync } from 'node:fs';
import { readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { saveCheckpoint } from '../../../lib/detector/checkpoint.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import { putAside } from '../../../lib/detector/history.ts';
import { describeModel, filesOf } from '../../../lib/detector/model-files.ts';
import { squareClasses } from '../../support/squares.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

const small = { classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 96, height: 64 } } as const;

/** A run with these checkpoints, by name and epoch. */
async function runWith(epochs: Record<string, number>): Promise<string> {
  const run = await temporaryFolder();
  await using detector = await Detector.create(small);
  for (const [name, epoch] of Object.entries(epochs))
    await saveCheckpoint(join(run, name), { ...describeModel(detector), training: { epoch } }, filesOf(detector));
  return run;
}

const damage = (run: string, name: string) => truncate(join(run, name, 'model.safetensors'), 1000);

it('loads the newest checkpoint of the run that is sound, and says which and why', async () => {
  const run = await runWith({ best: 3, previous: 4, last: 5 });
  const warnings: string[] = [];
  const load = async (name: string) => {
    warnings.length = 0;
    (await Detector.load(join(run, name), { onWarning: (message) => warnings.push(message) })).dispose();
    return warnings.join();
  };
  expect(await load('last')).toBe('');
  await damage(run, 'last');
  expect(await load('last')).toMatch(/last.model\.safetensors has 1000 bytes.* Using .*previous instead, of epoch 4$/);
  await rm(join(run, 'previous', 'checkpoint.json'));
  expect(await load('last')).toMatch(/Using .*best instead, of epoch 3$/);
  await damage(run, 'best');
  await expectError(Detector.load(join(run, 'last')), 'CHECKPOINT_CORRUPT', join(run, 'last'));
  expect((await readdir(run)).sort()).toEqual(['best', 'last', 'previous']);
});

it('takes no other checkpoint where none was named, nor one of no training', async () => {
  const run = await runWith({ last: 5 });
  await expectError(Detector.load(join(run, 'best')), 'CHECKPOINT_NOT_FOUND');
  await using detector = await Detector.create(small);
  await detector.save(join(run, 'previous'));
  await damage(run, 'last');
  await expectError(Detector.load(join(run, 'last')), 'CHECKPOINT_CORRUPT');
});

it('puts a damaged checkpoint aside under a name of its own', async () => {
  const run = await runWith({ last: 5 });
  expect(await putAside(join(run, 'last'))).toBe(join(run, 'last.damaged'));
  expect(existsSync(join(run, 'last'))).toBe(false);
  expect(await putAside(join(run, 'last'))).toBeUndefined();
  await using detector = await Detector.create(small);
  await detector.save(join(run, 'last'));
  expect(await putAside(join(run, 'last'))).toBe(join(run, 'last.damaged-2'));
});
