import { pattern } from '../../support/named-values.ts';
import { agreement, type FoundObjects, sameInFloat32 } from '../agreement.ts';
import { type Context, milliseconds, sayFailures } from '../context.ts';
import { type MeasuredRow, toRow } from '../rows.ts';
import { measure, ours, theirs } from '../sides.ts';

/** Candidates an image: more than a trained model has; and the most, which an untrained one has: 400 of each class. */
const loads = [
  { name: '1,000 candidates', scale: 6, background: 9 },
  { name: '8,000 candidates', scale: 2, background: 0 },
];

/** From the head's output to detections, and the suppression of boxes alone. */
export async function postprocess(context: Context): Promise<MeasuredRow[]> {
  const rows: MeasuredRow[] = [];
  for (const load of loads) rows.push(await whole(context, load));
  for (const count of [1000, 8000]) rows.push(await suppression(context, count));
  return rows;
}

async function whole(context: Context, { name, ...load }: (typeof loads)[number]): Promise<MeasuredRow> {
  const images = context.quick ? 2 : 8;
  const task = { task: 'postprocess', side: 640, grid: 20, classes: 21, images, ...load };
  context.say(`postprocess: ${name}`);
  const sides = { mine: ours(task), reference: theirs(context.python, task) };
  const measured = await measure(sides, { warmup: 2, rounds: context.rounds ?? 21, together: true });
  sayFailures(context, measured);
  const { mine, reference } = measured;
  if (mine?.results[0] && reference?.results[0]) {
    const found = reference.results[0] as FoundObjects[];
    const share = agreement(mine.results[0] as FoundObjects[], found, sameInFloat32);
    const count = found.reduce((sum, { scores }) => sum + scores.length, 0);
    context.check(`postprocess ${name}`, share === 1, `${(100 * share).toFixed(1)} % of ${count} boxes agree`);
  }
  const perImage = (side: typeof mine) => milliseconds(side).map((ms) => ms / images);
  const samples = { ours: perImage(mine), reference: perImage(reference) };
  return toRow('postprocess', `640 x 640, 21 classes, ${name}, per image`, 'ms', samples);
}

async function suppression(context: Context, count: number): Promise<MeasuredRow> {
  const task = { task: 'nms', ...makeCandidates(count, 20) };
  context.say(`postprocess: NMS of ${count} boxes`);
  const sides = { mine: ours(task), reference: theirs(context.python, task) };
  const measured = await measure(sides, { warmup: 2, rounds: context.rounds ?? 21, together: true });
  sayFailures(context, measured);
  const { mine, reference } = measured;
  if (mine?.results[0] && reference?.results[0]) {
    const [kept, expected] = [mine.results[0] as number[], reference.results[0] as number[]];
    context.check(`NMS of ${count}`, kept.join() === expected.join(), `${kept.length} and ${expected.length} kept`);
  }
  const samples = { ours: milliseconds(mine), reference: milliseconds(reference) };
  return toRow('postprocess', `NMS of ${count.toLocaleString('en')} boxes, 20 classes`, 'ms', samples);
}

/** Boxes in groups of eight around one place, so that many overlap; no two scores are equal. */
function makeCandidates(count: number, classes: number) {
  const places = pattern('place', [Math.ceil(count / 8), 2], 560, 300).data;
  const [corners, sizes] = [pattern('corner', [count, 2], 40).data, pattern('size', [count, 2], 60, 80).data];
  const boxes = Array.from({ length: count }, (_, i) => {
    const [x, y] = [0, 1].map((axis) => places[2 * (i >> 3) + axis]! + corners[2 * i + axis]!);
    return [x!, y!, x! + sizes[2 * i]!, y! + sizes[2 * i + 1]!].map(Math.fround);
  });
  return {
    boxes: boxes.flat(),
    scores: Array.from({ length: count }, (_, i) => Math.fround((((i * 7919) % count) + 1) / (count + 1))),
    labels: Array.from({ length: count }, (_, i) => 1 + ((7 * i + Math.floor(i / 11)) % classes)),
  };
}
