import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../../lib/base/errors.ts';
import { Detector, Evaluator, loadDatasetConfig, Trainer, VocDataset } from '../../../lib/index.ts';
import { recipes } from './recipes.ts';
import type { RunResult, RunTask } from './task.ts';

/** One training from random weights, and what its best checkpoint finds in the test split. */
async function run({
  recipe,
  seed,
  config,
  backbone,
  imageSize,
  epochs,
  threads,
  folder,
}: RunTask): Promise<RunResult> {
  const { model, training } = recipes[recipe]!;
  const { classes, train, valid, test } = await loadDatasetConfig(config);
  if (test === undefined) throw new Error(`${config} names no TEST_SPLIT`);
  const open = (source: typeof train) => VocDataset.open({ ...source, classes });
  const outDir = join(folder, `${recipe.replaceAll(/\W+/g, '-')}-${seed}`);

  await rm(outDir, { recursive: true, force: true }); // of a run that did not get to its end
  await using detector = await Detector.create({ ...model, classes, backbone, imageSize, seed, threads });
  const options = { ...training, train: await open(train), valid: await open(valid), outDir, epochs, seed };
  let [images, seconds] = [0, 0];
  const began = performance.now();
  await new Trainer(detector, options).run({
    onStep: (step) => {
      images += step.images;
      seconds += step.seconds;
    },
  });
  const minutes = (performance.now() - began) / 60_000;

  await using trained = await Detector.load(join(outDir, 'best'), { threads });
  const evaluator = new Evaluator(await open(test));
  const { coco, perClass, bySide } = await evaluator.evaluate(trained);
  return {
    ...{ recipe, seed, images, imagesPerSecond: images / seconds, minutes },
    ...{ ap: coco.ap, ap50: coco.ap50, ap75: coco.ap75 },
    ...(model.endToEnd && { withNms: await firstBranch(join(outDir, 'best'), classes, evaluator) }),
    classes: perClass.map(({ label, ap, ap50 }) => ({ name: label, ap, ap50 })),
    sizes: bySide.map(({ name, ap50 }) => ({ name, ap50 })),
  };
}

/** The scores of a detector's branch that leaves it to NMS to give each object one box. */
async function firstBranch(checkpoint: string, classes: readonly string[], evaluator: Evaluator) {
  const weights = join(checkpoint, 'model.safetensors');
  await using detector = await Detector.create({ classes, weights, endToEnd: false });
  const { ap, ap50, ap75 } = (await evaluator.evaluate(detector)).coco;
  return { ap, ap50, ap75 };
}

try {
  process.send!(await run(JSON.parse(process.argv[2]!)));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
