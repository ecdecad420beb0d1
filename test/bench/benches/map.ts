import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { type Context, milliseconds, sayFailures } from '../context.ts';
import { makeEvaluation, vocEvaluation } from '../evaluation-set.ts';
import { type MeasuredRow, toRow } from '../rows.ts';
import { type Measurement, measure, ours, theirs } from '../sides.ts';

/** The scores of an evaluation of Pascal VOC's size. */
export async function map(context: Context): Promise<MeasuredRow[]> {
  const { quick, python, folder, say } = context;
  const size = quick ? { ...vocEvaluation, images: 100, detections: 50 } : vocEvaluation;
  say(`map: ${size.images} images, ${size.detections} detections each`);
  const rows = makeEvaluation(size);
  const files = { truth: join(folder, 'truth.f64'), detections: join(folder, 'detections.f64') };
  await writeFile(files.truth, rows.truth);
  await writeFile(files.detections, rows.detections);
  const task = { task: 'map', ...files, images: size.images };
  const reference = (tool: string) => theirs(python, { ...task, classes: size.classes, tool });
  const sides = {
    coco: ours({ ...task, all: false }),
    all: ours({ ...task, all: true }),
    pycocotools: reference('pycocotools'),
    faster: reference('faster-coco-eval'),
  };
  const measured = await measure(sides, { warmup: quick ? 1 : 0, rounds: context.rounds ?? 3, together: true });
  sayFailures(context, measured);
  for (const tool of ['pycocotools', 'faster'] as const) checkScores(context, tool, measured.coco, measured[tool]);

  const seconds = (side: Measurement | undefined) => milliseconds(side).map((ms) => ms / 1000);
  const samples = { reference: seconds(measured.pycocotools), tuned: seconds(measured.faster) };
  const name = `${size.images.toLocaleString('en')} images, ${size.detections} detections each`;
  return [
    toRow('map', `COCO's twelve numbers, ${name} (pycocotools; faster-coco-eval)`, 's', {
      ours: seconds(measured.coco),
      ...samples,
    }),
    toRow('map', "all of an Evaluator's scores: COCO, torchmetrics, VOC", 's', { ours: seconds(measured.all) }),
  ];
}

function checkScores(
  { check }: Context,
  tool: string,
  side: Measurement | undefined,
  reference: Measurement | undefined,
): void {
  const [mine, theirs] = [side, reference].map((each) => each?.results[0] as number[] | undefined);
  if (mine === undefined || theirs === undefined) return;
  const difference = Math.max(...theirs.map((value, i) => Math.abs(value - mine[i]!)));
  check(`COCO's twelve numbers and ${tool}`, difference <= 1e-9, `largest difference ${difference.toExponential(1)}`);
}
