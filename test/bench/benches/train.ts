import { type Context, milliseconds, sayFailures } from '../context.ts';
import { freeBytes } from '../machine.ts';
import type { Precision } from '../ours/model-tasks.ts';
import { type MeasuredRow, toRow } from '../rows.ts';
import { hasLevers, type Lever, type Measurement, measure, onDevice, ours, theirs } from '../sides.ts';
import { articleWorkload, makeTargets, trainingBytes } from '../workload.ts';

/** Our rows: what is trained in, and what is switched off to show what it brings. */
const allVariants: readonly { name: string; precision: Precision; disable: readonly Lever[] }[] = [
  { name: 'float32', precision: 'fp32', disable: [] },
  { name: 'bf16', precision: 'bf16', disable: [] },
  ...(['allocator', 'depthwise', 'fused-mlp', 'mlp-rows', 'packed-weights'] as const).map((lever) => {
    return { name: `bf16 without ${lever}`, precision: 'bf16' as const, disable: [lever] };
  }),
];

/** How far our loss of the first and of the second step may be from the reference's: the second follows from the gradients. */
const tolerances: Record<Precision, readonly number[]> = { fp32: [1e-4, 1e-3], bf16: [2e-2, 4e-2] };

/** A training step of the article's model, all of it trained, and the memory that it takes. */
export async function train(context: Context): Promise<MeasuredRow[]> {
  const rows: MeasuredRow[] = [];
  for (const images of context.quick ? [2] : [8, 2]) rows.push(...(await compare(context, images)));
  return rows;
}

/** The peak memory alone: two steps of each. */
export async function trainingMemory(context: Context): Promise<MeasuredRow[]> {
  const rows = await compare({ ...context, rounds: 1 }, context.quick ? 2 : 8);
  return rows.filter(({ unit }) => unit === 'GB').map((row) => ({ ...row, bench: 'memory' }));
}

async function compare(context: Context, images: number): Promise<MeasuredRow[]> {
  const { quick, python, device, say } = context;
  const variants = allVariants.filter(({ disable }) => disable.length === 0 || hasLevers(device));
  const workload = { ...articleWorkload, side: quick ? 256 : articleWorkload.side };
  const task = { task: 'train', ...workload, device, targets: makeTargets(images, workload) };
  const sides = {
    reference: theirs(python, { ...task, tuned: false }),
    tuned: theirs(python, { ...task, tuned: true }, { retain: true }),
    ...Object.fromEntries(
      variants.map(({ name, precision, disable }) => [name, ours({ ...task, precision }, disable)]),
    ),
  };
  const onCpu = device === 'cpu';
  const together = !onCpu || Object.keys(sides).length * trainingBytes(images, workload.side) < 0.8 * freeBytes();
  say(
    `train: ${images} images of ${workload.side} x ${workload.side}, ${together ? 'in turn' : 'one process at a time'}`,
  );
  const measured = await measure<string>(sides, {
    warmup: onCpu ? 1 : 5,
    rounds: context.rounds ?? (onCpu ? (images > 4 ? 3 : 5) : 30),
    together,
  });
  sayFailures(context, measured);

  const { reference, tuned } = measured;
  for (const { name, precision } of variants)
    checkLosses(context, `b${images} ${name}`, measured[name], reference, precision);
  const gigabytes = (side: Measurement | undefined) => (side?.peakBytes === undefined ? [] : [side.peakBytes / 1e9]);
  const times = variants.map(({ name }) =>
    toRow('train', `b${images} ${name}${onDevice(device)}`, 'ms', {
      ours: milliseconds(measured[name]),
      reference: milliseconds(reference),
      tuned: milliseconds(tuned),
    }),
  );
  if (!onCpu) return times; // a process's memory says nothing of the device's
  return variants.flatMap(({ name }, i) => [
    times[i]!,
    toRow('train', `b${images} ${name}, peak memory`, 'GB', {
      ours: gigabytes(measured[name]),
      reference: gigabytes(reference),
      tuned: gigabytes(tuned),
    }),
  ]);
}

function checkLosses(
  { check }: Context,
  name: string,
  side: Measurement | undefined,
  reference: Measurement | undefined,
  precision: Precision,
): void {
  for (const [step, tolerance] of tolerances[precision].entries()) {
    const [mine, theirs] = [side, reference].map((each) => (each?.results[step] as { loss: number } | undefined)?.loss);
    if (mine === undefined || theirs === undefined) continue;
    const difference = Math.abs(mine - theirs) / theirs;
    const detail = `${mine.toPrecision(7)} and ${theirs.toPrecision(7)}, ${difference.toExponential(1)} of ${tolerance}`;
    check(`loss of ${name}, step ${step + 1}`, difference <= tolerance, detail);
  }
}
