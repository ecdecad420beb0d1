import { join } from 'node:path';

import { type Context, sayFailures } from '../context.ts';
import { findImages } from '../images.ts';
import { type MeasuredRow, toRow } from '../rows.ts';
import { type Measurement, measure, ours, theirs } from '../sides.ts';
import { articleWorkload } from '../workload.ts';

/** From files to what the model takes: images per second of one core's time; and whether training waits for them. */
export async function data(context: Context): Promise<MeasuredRow[]> {
  const { quick, python, say } = context;
  const side = quick ? 256 : 640;
  const { name, paths, source } = await findImages(join(context.folder, 'images'));
  say(`data: ${name}, to ${side} x ${side}`);
  const task = { task: 'data', paths, side };
  const sides = {
    item: theirs(python, { ...task, normalise: false, tuned: false }),
    tunedItem: theirs(python, { ...task, normalise: false, tuned: true }),
    normalised: theirs(python, { ...task, normalise: true, tuned: false }),
    tunedNormalised: theirs(python, { ...task, normalise: true, tuned: true }),
    slot: ours(task),
  };
  const measured = await measure(sides, { warmup: 1, rounds: context.rounds ?? 7, together: true });
  sayFailures(context, measured);
  const rates = (side: Measurement | undefined) => side?.steps.map(({ cpuMs }) => (1000 * paths.length) / cpuMs) ?? [];
  const slot = rates(measured.slot);
  return [
    toRow('data', `file to uint8 batch per core, ${name}`, 'images/s', {
      ours: slot,
      reference: rates(measured.item),
      tuned: rates(measured.tunedItem),
    }),
    toRow('data', 'the same against item and normalisation, which ours leaves to the step', 'images/s', {
      ours: slot,
      reference: rates(measured.normalised),
      tuned: rates(measured.tunedNormalised),
    }),
    await waiting(context, source),
  ];
}

/** How much of a training's time goes by without a batch to train on. */
async function waiting(context: Context, source: object): Promise<MeasuredRow> {
  const { quick, say } = context;
  const workload = quick ? { ...articleWorkload, backbone: 'convnext_test', side: 256 } : articleWorkload;
  const task = { task: 'loading', ...workload, source, batch: quick ? 4 : 8, steps: 3, precision: 'fp32' };
  say(`data: training on ${quick ? 'convnext_test' : workload.backbone}`);
  const { loading } = await measure({ loading: ours(task) }, { warmup: 0, rounds: 1, together: true });
  sayFailures(context, { loading });
  const shares = loading?.steps.map(({ result }) => (result as { share: number }).share) ?? [];
  return toRow('data', `training waits for data, ${workload.backbone}`, '%', { ours: shares });
}
