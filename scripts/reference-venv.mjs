// The Python that we are compared with: PyTorch for CPUs and its companions. Nothing but benchmarks and golden files needs it.
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';

import { root, run } from './program.mjs';

const isWindows = process.platform === 'win32';
const systemPython = isWindows ? 'python' : 'python3';
const defaultFolder = join(root, '.venv-reference');

/** What is imported, and how pip gets it. Of torchvision only the Python code is used: its operators are for a torch with CUDA. */
const needed = { torch: 'torch==2.13.0', numpy: 'numpy' };
const optional = {
  torchvision: 'torchvision==0.28.0',
  pycocotools: 'pycocotools==2.0.11',
  torchmetrics: 'torchmetrics==1.9.0',
  cv2: 'opencv-python-headless',
  PIL: 'pillow',
  faster_coco_eval: 'faster-coco-eval',
  onnx: 'onnx',
  onnxscript: 'onnxscript',
  onnxruntime: 'onnxruntime',
  openvino: 'openvino',
  libreyolo: 'libreyolo==1.6.0',
};
/** Of these only Python code is used that needs torch alone. */
const withoutDependencies = new Set(['torchvision', 'libreyolo']);
export const packages = { ...needed, ...optional };

// The index has wheels without CUDA, which are a fraction of the size; where it cannot be reached, the usual one will do.
const cpuIndex = ['--extra-index-url', 'https://download.pytorch.org/whl/cpu', '--retries', '1', '--timeout', '15'];

/** Makes a virtual environment with every package that can be had, torch and numpy at least, and gives the path of its Python. */
export async function createVenv(folder = defaultFolder) {
  if ((await run(systemPython, '-m', 'venv', folder)) !== 0)
    throw new Error(`${systemPython} made no virtual environment in ${folder}: see above`);
  const python = pythonOf(resolve(folder));
  const install = (...args) => run(python, '-m', 'pip', 'install', '--disable-pip-version-check', ...args);
  const specs = Object.values(needed);
  if ((await install(...cpuIndex, ...specs)) !== 0 && (await install(...specs)) !== 0)
    throw new Error(`pip could not install ${specs.join(' ')}: see above`);
  for (const [name, spec] of Object.entries(optional)) {
    const code = await install(...(withoutDependencies.has(name) ? ['--no-deps'] : []), spec);
    if (code !== 0) console.error(`${spec} could not be installed: what needs it is left out`);
  }
  return python;
}

/** DINOV3_DET_TORCH_PYTHON, the environment of `createVenv`, or the system's Python: the first with torch, or undefined. */
export function findPython() {
  const asked = process.env.DINOV3_DET_TORCH_PYTHON;
  if (asked) return /[\\/]/.test(asked) ? resolve(asked) : asked;
  return [pythonOf(defaultFolder), systemPython].find((python) => findProblems(python, ['torch']).torch === null);
}

/** Of each package that cannot be imported in a folder, why; null where it can. */
export function findProblems(python, names, cwd = root) {
  const script = `
import importlib, json, sys
def problem(name):
    try: importlib.import_module(name)
    except Exception as error: return f"{type(error).__name__}: {error}".splitlines()[0]
print(json.dumps({name: problem(name) for name in sys.argv[1:]}))`;
  try {
    const options = { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
    return JSON.parse(execFileSync(python, ['-c', script, ...names], options));
  } catch (error) {
    return Object.fromEntries(names.map((name) => [name, error.message.split('\n')[0]]));
  }
}

/** How to get such a Python: by a command of ours, or by hand. */
export function howToGetPython(command) {
  return `Either make one:
  ${command}
or by hand:
  python3 -m venv DIR
  DIR/bin/python -m pip install ${Object.values(packages).join(' ')}
and set DINOV3_DET_TORCH_PYTHON=DIR/bin/python`;
}

function pythonOf(folder) {
  return isWindows ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python');
}
