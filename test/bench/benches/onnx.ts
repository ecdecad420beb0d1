import { join } from 'node:path';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { type Context, milliseconds, sayFailures } from '../context.ts';
import { createDetector } from '../ours/model-tasks.ts';
import { type MeasuredRow, toRow } from '../rows.ts';
import { type Measurement, measure, ours, theirs } from '../sides.ts';
import { articleWorkload, type Workload } from '../workload.ts';

/** The most that a box's side, in pixels, and a score may differ in float32. */
const TOLERANCE = { boxes: 1e-2, scores: 1e-5 };

/**
 * Our ONNX file against those that torch.onnx writes for the same model, from images to all boxes and scores, all in onnxruntime-node.
 * The reference is torch.onnx's default exporter, and tuned the older one, by TorchScript.
 */
export async function onnx(context: Context): Promise<MeasuredRow[]> {
  const rows: MeasuredRow[] = [];
  for (const images of context.quick ? [1] : [1, 8]) rows.push(await compare(context, images));
  return rows;
}

async function compare(context: Context, images: number): Promise<MeasuredRow> {
  const { quick, rounds, say } = context;
  const workload = { ...articleWorkload, side: quick ? 256 : articleWorkload.side };
  say(`onnx: ${images} images of ${workload.side} x ${workload.side}`);
  const path = await writeOurs(context, workload);
  const run = (file: string | undefined) =>
    file === undefined ? undefined : ours({ task: 'onnx', path: file, side: workload.side, images });
  const sides = {
    ours: run(path),
    reference: run(await writeTheirs(context, workload, images, true)),
    tuned: run(await writeTheirs(context, workload, images, false)),
  };
  const measured = await measure(sides, { warmup: 2, rounds: rounds ?? (images > 1 ? 7 : 15), together: true });
  sayFailures(context, measured);
  checkSame(context, `b${images}: torch.onnx`, measured.ours, measured.reference);
  checkSame(context, `b${images}: torch.onnx by TorchScript`, measured.ours, measured.tuned);
  return toRow('onnx', `b${images} float32, our file against that of torch.onnx, in onnxruntime-node`, 'ms', {
    ours: milliseconds(measured.ours),
    reference: milliseconds(measured.reference),
    tuned: milliseconds(measured.tuned),
  });
}

async function writeOurs({ folder }: Context, workload: Workload): Promise<string> {
  const path = join(folder, 'ours.onnx');
  const detector = await createDetector({ ...workload, precision: 'fp32' });
  await exportDetector(detector, path, { format: 'onnx', nms: 'none', input: 'float', verify: false });
  detector.dispose();
  return path;
}

/** Undefined without a Python for it. */
async function writeTheirs(
  { python, folder, say }: Context,
  workload: Workload,
  images: number,
  dynamo: boolean,
): Promise<string | undefined> {
  const path = join(folder, `torch-${images}-${dynamo}.onnx`);
  const exporting = theirs(python, { task: 'export-whole-onnx', path, ...workload, images, dynamo });
  if (exporting === undefined) return undefined;
  const { exported } = await measure({ exported: exporting }, { warmup: 0, rounds: 1, together: true });
  if (exported?.error === undefined) return path;
  say(`  torch.onnx${dynamo ? '' : ' by TorchScript'}: not measured: ${exported.error}`);
  return undefined;
}

function checkSame(
  { check }: Context,
  name: string,
  mine: Measurement | undefined,
  other: Measurement | undefined,
): void {
  const [found, expected] = [mine, other].map((side) => side?.results[0] as Record<string, number[]> | undefined);
  if (found === undefined || expected === undefined) return;
  for (const [output, tolerance] of Object.entries(TOLERANCE)) {
    const [a, b] = [found[output]!, expected[output]!];
    const difference = Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
    const same = a.length === b.length && difference < tolerance;
    check(`${output} of ${name}`, same, `at most ${difference.toPrecision(2)} apart`);
  }
}
