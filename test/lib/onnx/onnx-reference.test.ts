import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import type { ExportOptions } from '../../../lib/detector/export-options.ts';
import { formNames, formOptions } from '../../support/onnx-models.ts';
import { randomDetector } from '../../support/random-weights.ts';
import { temporaryFolder } from '../../support/voc.ts';

/** A Python with onnx and onnxruntime; where it has openvino too, that runs every file as well. */
const python = process.env.DINOV3_DET_TORCH_PYTHON;
const script = join(import.meta.dirname, '../../reference/check_onnx.py');
const missing = whatIsMissing();

interface Checked {
  opset: number;
  shapes: Record<string, number[]>;
  openvino?: Record<string, number>;
}

/** The file of each kind that is written otherwise. */
const kinds: Partial<ExportOptions>[] = [
  {},
  { nms: 'none', input: 'float' },
  { opset: 17 },
  { opset: 17, nms: 'none', half: true },
  { half: true },
  { format: 'transformersjs' },
];

it.skipIf(missing)(
  `onnx.checker, ONNX Runtime in Python and OpenVINO take every file${missing ? ` (skipped: ${missing})` : ''}`,
  async () => {
    const folder = await temporaryFolder();
    const files = [];
    for (const form of formNames) {
      await using detector = await randomDetector(formOptions(form));
      for (const [i, kind] of kinds.entries()) {
        const path = join(folder, `${form}-${i}.onnx`);
        await exportDetector(detector, path, { format: 'onnx', verify: false, ...kind });
        files.push({ kind, path: kind.format === 'transformersjs' ? join(path, 'onnx', 'model.onnx') : path });
      }
    }
    const paths = files.map(({ path }) => path);
    const lines = execFileSync(python!, [script, ...paths], { encoding: 'utf8' })
      .trim()
      .split('\n');
    expect(lines).toHaveLength(files.length);
    files.forEach(({ kind, path }, i) => {
      expectSound(kind, JSON.parse(lines[i]!) as Checked, path);
    });
  },
  600_000,
);

function expectSound({ half, opset = 20, nms }: Partial<ExportOptions>, checked: Checked, path: string): void {
  expect(checked.opset).toBe(opset);
  const { boxes, scores, pred_boxes: queries } = checked.shapes;
  if (nms === 'none') expect([boxes!.at(-1), scores!.at(-1)]).toEqual([4, 5]);
  else expect((boxes ?? queries)!.at(-2), path).toBeGreaterThan(10);
  const { openvino } = checked;
  // In float16 equals may come in another order, so that rows of detections cannot be compared.
  if (!openvino || (half && nms !== 'none')) return;
  expect(openvino.boxes ?? 0, path).toBeLessThan(half ? 1 : 1e-3);
  expect(openvino.scores ?? 0, path).toBeLessThan(half ? 5e-3 : 1e-5);
  expect(openvino.labels ?? 0, path).toBe(0);
  expect(openvino.pred_boxes ?? 0, path).toBeLessThan(1e-5);
}

function whatIsMissing(): string {
  if (!python) return 'no DINOV3_DET_TORCH_PYTHON';
  try {
    execFileSync(python, ['-c', 'import numpy, onnx, onnxruntime'], { stdio: 'pipe' });
    return '';
  } catch (error) {
    return `${python}: ${String((error as { stderr?: Buffer }).stderr ?? error)
      .trim()
      .split('\n')
      .at(-1)}`;
  }
}
