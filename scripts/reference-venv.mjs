// The Python that we are compared with: torch for CPUs and the model code of torchvision. Nothing but benchmarks and golden files
// needs it.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { root, run } from './program.mjs';

const isWindows = process.platform === 'win32';
const systemPython = isWindows ? 'python' : 'python3';
const defaultFolder = join(root, '.venv-reference');

// The index has wheels without CUDA, which are a fraction of the size; where it cannot be reached, the usual one will do.
const cpuIndex = ['--extra-index-url', 'https://download.pytorch.org/whl/cpu', '--retries', '1', '--timeout', '15'];
const needed = [
  'torch==2.13.0',
  'numpy',
  'pillow',
  'opencv-python-headless',
  'pycocotools==2.0.11',
  'faster-coco-eval',
];
const onnx = ['onnx', 'onnxruntime'];

/** Makes a virtual environment with everything that the benchmarks compare with, and gives the path of its Python. */
export async function createVenv(folder = defaultFolder) {
  await succeed(systemPython, '-m', 'venv', folder);
  const python = pythonOf(folder);
  const install = (...args) => run(python, '-m', 'pip', 'install', '--disable-pip-version-check', ...args);
  if ((await install(...cpuIndex, ...needed)) !== 0) await succeedWith(install(...needed), 'pip install');
  // Its compiled operations may be for another torch: test/bench/reference/torchvision_ops.py does without them.
  await succeedWith(install('--no-deps', 'torchvision==0.28.0'), 'pip install torchvision');
  if ((await install(...onnx)) !== 0)
    console.error('ONNX Runtime could not be installed: it will not be compared with');
  return python;
}

/** The Python to compare with: DINOV3_DET_TORCH_PYTHON, the environment of `createVenv`, or the system's, if it has torch and torchvision. */
export async function findPython() {
  const asked = process.env.DINOV3_DET_TORCH_PYTHON;
  if (asked) {
    if (await hasTorch(asked)) return asked;
    throw new Error(`DINOV3_DET_TORCH_PYTHON is ${asked}, which has no torch and torchvision`);
  }
  for (const python of [pythonOf(defaultFolder), systemPython]) if (await hasTorch(python)) return python;
  return undefined;
}

function pythonOf(folder) {
  return isWindows ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python');
}

async function hasTorch(python) {
  if (python !== systemPython && !existsSync(python)) return false;
  const probe =
    'import sys; from importlib.util import find_spec as f; sys.exit(not (f("torch") and f("torchvision")))';
  return promisify(execFile)(python, ['-c', probe]).then(
    () => true,
    () => false,
  );
}

async function succeed(command, ...args) {
  await succeedWith(run(command, ...args), [command, ...args].join(' '));
}

async function succeedWith(code, what) {
  if ((await code) !== 0) throw new Error(`${what} failed: see above`);
}
