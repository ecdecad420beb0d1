// `npm run test:parity`: has PyTorch and its companions write the golden files anew, and every test that reads them compare with
// those. `--create-venv DIR` makes a Python environment for it first. What cannot be computed here is named, with the remedy.
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { root, run } from './program.mjs';
import { createVenv, findProblems, findPython, howToGetPython, packages } from './reference-venv.mjs';
import { main, setup } from './setup.mjs';
import { runVitest } from './vitest.mjs';

const reference = join(root, 'test', 'reference');

/** What has to be importable there, and how it gets so: torchvision_ops stands in test/reference and imports torchvision. */
const specs = {
  ...packages,
  torchvision_ops: packages.torchvision,
  libreyolo_rtmdet: `--no-deps ${packages.libreyolo}`,
};
const modules = [
  ...['torch', 'numpy', 'torchvision_ops', 'pycocotools', 'torchmetrics', 'cv2', 'libreyolo_rtmdet'],
  ...['onnx', 'onnxruntime', 'openvino'],
];

const parts = [
  { name: 'features of every ConvNeXt', script: 'make_convnext.py', writes: ['native/convnext.json'] },
  {
    name: 'loss, every gradient, five steps of AdamW and SGD',
    script: 'make_training.py',
    needs: ['torchvision_ops'],
    writes: ['native/gradients.json', 'native/training.json'],
  },
  { name: 'torch.optim on given gradients', script: 'make_optimizer.py', writes: ['native/optimizer.json'] },
  {
    name: 'learning rates',
    script: 'make_learning_rate.py',
    writes: ['learning_rate.json', 'learning_rate_steps.json'],
  },
  {
    name: 'NMS, postprocess, multibox loss, head',
    script: 'make_ops.py',
    needs: ['torchvision_ops'],
    writes: ['nms', 'postprocess', 'multibox_loss', 'ssd_head'].map((name) => `native/${name}.json`),
  },
  {
    name: 'focal loss, losses of decoded boxes',
    script: 'make_losses.py',
    needs: ['torchvision_ops'],
    writes: ['native/losses.json'],
  },
  {
    name: 'RetinaNet: head, anchors, matcher, losses, every gradient, detections',
    script: 'make_retinanet.py',
    needs: ['torchvision_ops'],
    writes: ['native/retinanet_head.json', 'native/retinanet.json'],
  },
  {
    name: 'RTMDet: neck, head, assigner, losses, every gradient',
    script: 'make_dense.py',
    needs: ['libreyolo_rtmdet'],
    writes: ['native/dense.json'],
  },
  {
    name: 'feature pyramid',
    script: 'make_feature_pyramid.py',
    needs: ['torchvision_ops'],
    writes: ['native/feature_pyramid.json'],
  },
  {
    name: 'default boxes, box coder, matcher, a tiny SSD',
    script: 'make_ssd.py',
    needs: ['torchvision_ops'],
    writes: ['ssd_golden.json'],
  },
  { name: 'COCO metric', script: 'make_metrics.py', needs: ['pycocotools'], writes: ['metrics.json'] },
  {
    name: 'torchmetrics',
    script: 'make_torchmetrics.py',
    needs: ['torchvision_ops', 'pycocotools', 'torchmetrics'],
    writes: ['torchmetrics.json'],
  },
  { name: "OpenCV's resize", script: 'make_resize.py', needs: ['cv2'], writes: ['native/resize.json'] },
  {
    name: 'photometric distortion',
    script: 'make_photometric.py',
    needs: ['torchvision_ops'],
    writes: ['native/photometric.json'],
  },
  {
    name: 'what augmentation draws on average',
    script: 'make_augmentation.py',
    needs: ['torchvision_ops'],
    writes: ['augmentation.json'],
  },
  { name: 'TorchScript backbones', script: 'make_torchscript.py', writes: ['native/torchscript'] },
  { name: 'TorchScript files', script: 'torchscript_fixtures.py', writes: ['torchscript'] },
  { name: 'TorchScript of every form', script: 'torchscript_forms.py', writes: ['torchscript/every_form.pt'] },
  { name: 'files of torch.save', script: 'make_pth.py', writes: ['pth'] },
];

/** The tests that read golden files, and those that call Python themselves. */
const tests = [
  ...[
    'native',
    'scripts/export-backbone',
    'lib/weights',
    'lib/detector/torch',
    'lib/detector/export',
    'lib/model/config',
  ],
  ...['lib/onnx/onnx-reference', 'lib/data/augment', 'lib/evaluation/average-precision', 'lib/training/learning-rate'],
].map((path) => `test/${path}`);

await main(async () => {
  const { values } = parseArgs({ options: { 'create-venv': { type: 'string' } } });
  const venv = values['create-venv'];
  const python = venv ? await createVenv(venv) : (findPython() ?? 'python3');
  const problems = findProblems(python, modules, reference);
  const lacking = problems.torch ?? problems.numpy;
  if (lacking) {
    const how = howToGetPython('npm run test:parity -- --create-venv DIR');
    throw new Error(`parity needs a Python with torch, and ${python} has none (${lacking}). ${how}`);
  }
  await setup({ tests: true });
  const fixtures = mkdtempSync(join(tmpdir(), 'dinov3-det-parity-'));
  try {
    Object.assign(process.env, { DINOV3_DET_TORCH_PYTHON: python, DINOV3_DET_FIXTURES: fixtures });
    cpSync(join(root, 'test', 'fixtures'), fixtures, { recursive: true });
    const results = [];
    for (const part of parts) results.push(await recompute(part, python, problems, fixtures));
    const counts = await runVitest(tests);
    return report([...results, officialCode(), onnxRuntimes(problems)], counts);
  } finally {
    rmSync(fixtures, { recursive: true, force: true });
  }
});

/** What is recomputed is removed first: a test cannot compare with the stored file by mistake. */
async function recompute({ name, script, needs = [], writes }, python, problems, fixtures) {
  const missing = needs.filter((need) => problems[need]);
  if (missing.length > 0) {
    const remedy = `pip install ${missing.map((need) => specs[need]).join(' ')}`;
    return { name, state: 'skipped', words: `${problems[missing[0]]}: ${remedy}` };
  }
  console.error(`parity: ${script}`);
  for (const path of writes) rmSync(join(fixtures, path), { recursive: true, force: true });
  const args = script === 'make_convnext.py' ? officialConvnext() : [];
  const code = await run(python, join(reference, script), ...args);
  return code === 0
    ? { name, state: 'recomputed', words: script }
    : { name, state: 'failed', words: `${script} ended with code ${code}: see above` };
}

/** The file of the DINOv3 repository, or nothing. */
function officialConvnext() {
  const repo = process.env.DINOV3_DET_DINOV3_REPO;
  return repo ? [resolve(repo, 'dinov3', 'models', 'convnext.py')].filter(existsSync) : [];
}

function officialCode() {
  const name = 'the official ConvNeXt, scripts/export_backbone.py';
  const [path] = officialConvnext();
  if (path) return { name, state: 'recomputed', words: path };
  const remedy = 'set DINOV3_DET_DINOV3_REPO to a local copy of github.com/facebookresearch/dinov3';
  return { name, state: 'skipped', words: `no dinov3/models/convnext.py: ${remedy}` };
}

/** Exported files, which a test gives to Python: without OpenVINO to onnx.checker and ONNX Runtime alone. */
function onnxRuntimes(problems) {
  const name = 'ONNX files: onnx.checker, ONNX Runtime, OpenVINO';
  const missing = ['onnx', 'onnxruntime', 'openvino'].filter((need) => problems[need]);
  if (missing.length === 0) return { name, state: 'recomputed', words: 'check_onnx.py' };
  const remedy = `pip install ${missing.map((need) => specs[need]).join(' ')}`;
  return { name, state: 'skipped', words: `${problems[missing[0]]}: ${remedy}` };
}

function report(results, { code, passed, failed, skipped }) {
  for (const { name, state, words } of results) console.log(`${state}: ${name} (${words})`);
  const count = (state) => results.filter((result) => result.state === state).length;
  console.log(
    `Parity: ${count('recomputed')} parts recomputed, ${count('skipped')} skipped, ${count('failed')} failed`,
  );
  console.log(`${passed} passed, ${failed + count('failed')} failed, ${skipped} skipped`);
  return count('failed') > 0 ? 1 : code;
}
