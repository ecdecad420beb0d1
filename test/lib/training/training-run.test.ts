import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Detector, snapshotOf } from '../../../lib/detector/detector.ts';
import { resolveTrainerOptions } from '../../../lib/training/resolve-options.ts';
import { RunClaim } from '../../../lib/training/run-claim.ts';
import { TrainingRun } from '../../../lib/training/training-run.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { temporaryFolder } from '../../support/voc.ts';

it('saves no weights with a state that they are not of', async () => {
  const folder = await temporaryFolder();
  const train = await openSquares(folder, 2);
  const outDir = join(folder, 'run');
  const imageSize = { width: 96, height: 64 };
  await using detector = await Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize });
  const run = await TrainingRun.begin(
    detector,
    resolveTrainerOptions({ train, valid: train, outDir }, { preset: 'ssd' }),
    { claim: new RunClaim(detector) },
  );
  run.state.sums.steps = run.state.step = 1;
  const { state: trained } = run.endEpoch(0);
  await run.save('last', detector, trained); // no step was taken since
  await run.save('last', detector, run.state);

  run.state.step = 2;
  const message = 'The weights are those of step 2 after epoch 1, and not those of step 1 after epoch 0';
  await expect(run.save('best', detector, trained)).rejects.toThrow(message);
  expect(existsSync(join(outDir, 'best'))).toBe(false);
  await using snapshot = await snapshotOf(detector);
  await run.save('best', snapshot, trained);
});
