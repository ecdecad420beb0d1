import { join } from 'node:path';

import { agreement, type FoundObjects, sameInBf16, sameInFloat32 } from '../agreement.ts';
import { type Context, milliseconds, sayFailures } from '../context.ts';
import type { Precision } from '../ours/model-tasks.ts';
import { type MeasuredRow, toRow } from '../rows.ts';
import { hasLevers, type Lever, type Measurement, measure, onDevice, ours, type Side, theirs } from '../sides.ts';
import { articleWorkload, type Workload } from '../workload.ts';

const allVariants: readonly { name: string; precision: Precision; disable: readonly Lever[] }[] = [
  { name: 'float32', precision: 'fp32', disable: [] },
  { name: 'bf16', precision: 'bf16', disable: [] },
  ...(['allocator', 'depthwise', 'fused-mlp', 'packed-weights', 'pixel-table'] as const).map((lever) => {
    return { name: `bf16 without ${lever}`, precision: 'bf16' as const, disable: [lever] };
  }),
];

/** The share of the reference's detections that ours must have. The rest are those that stand on a threshold. */
const expected: Record<Precision, number> = { fp32: 0.99, bf16: 0.8 };

/** From decoded images to boxes; and the forward pass of ONNX Runtime, where that can be had. */
export async function predict(context: Context): Promise<MeasuredRow[]> {
  const rows: MeasuredRow[] = [];
  for (const images of context.quick ? [1] : [1, 8]) rows.push(...(await compare(context, images)));
  return rows;
}

async function compare(context: Context, images: number): Promise<MeasuredRow[]> {
  const { quick, python, device, say } = context;
  const onCpu = device === 'cpu';
  const variants = allVariants.filter(({ disable }) => disable.length === 0 || hasLevers(device));
  const workload = { ...articleWorkload, side: quick ? 256 : articleWorkload.side };
  const task = { task: 'predict', ...workload, device, images };
  say(`predict: ${images} images of ${workload.side} x ${workload.side}`);
  const onnx = onCpu ? await openOnnx(context, workload, images) : undefined;
  const sides = {
    reference: theirs(python, { ...task, tuned: false }),
    tuned: theirs(python, { ...task, tuned: true }, { retain: true }),
    onnx,
    ...Object.fromEntries(
      variants.map(({ name, precision, disable }) => [name, ours({ ...task, precision }, disable)]),
    ),
  };
  const measured = await measure<string>(sides, {
    warmup: onCpu ? 2 : 10,
    rounds: context.rounds ?? (onCpu ? (images > 1 ? 7 : 15) : 50),
    together: true,
  });
  sayFailures(context, measured);

  const { reference, tuned } = measured;
  for (const { name, precision } of variants)
    checkBoxes(context, `b${images} ${name}`, measured[name], reference, precision);
  const times = { reference: milliseconds(reference), tuned: milliseconds(tuned) };
  const rows = variants.map(({ name }) =>
    toRow('predict', `b${images} ${name}${onDevice(device)}`, 'ms', { ours: milliseconds(measured[name]), ...times }),
  );
  if (onnx === undefined) return rows;
  const label = `b${images} float32 against the forward pass of ${measured.onnx?.facts.engine ?? 'ONNX Runtime'}`;
  const against = { ours: milliseconds(measured.float32), reference: milliseconds(measured.onnx) };
  return [...rows, toRow('predict', label, 'ms', against)];
}

function checkBoxes(
  { check }: Context,
  name: string,
  side: Measurement | undefined,
  reference: Measurement | undefined,
  precision: Precision,
): void {
  const [mine, theirs] = [side, reference].map((each) => each?.results[0] as FoundObjects[] | undefined);
  if (mine === undefined || theirs === undefined) return;
  const share = agreement(mine, theirs, precision === 'fp32' ? sameInFloat32 : sameInBf16);
  const count = theirs.reduce((sum, { scores }) => sum + scores.length, 0);
  check(`boxes of ${name}`, share >= expected[precision], `${(100 * share).toFixed(1)} % of ${count} agree`);
}

/** ONNX Runtime on the exported reference: onnxruntime-node if it is installed, else Python's; undefined without a Python. */
async function openOnnx(
  { python, folder, say }: Context,
  workload: Workload,
  images: number,
): Promise<Side | undefined> {
  const path = join(folder, `detector-b${images}.onnx`);
  const exporting = theirs(python, { task: 'export-onnx', path, ...workload, images });
  if (exporting === undefined) return undefined;
  const { exported } = await measure({ exported: exporting }, { warmup: 0, rounds: 1, together: true });
  if (exported?.error !== undefined) {
    say(`  ONNX Runtime: not measured: ${exported.error}`);
    return undefined;
  }
  const task = { task: 'onnx', path, side: workload.side, images };
  return (await isInstalled('onnxruntime-node')) ? ours(task) : theirs(python, task);
}

async function isInstalled(name: string): Promise<boolean> {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}
