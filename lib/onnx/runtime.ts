import { DetectorError, messageOf } from '../base/errors.ts';

/** What we use of onnxruntime-node and onnxruntime-web, which have the same interface. Neither is a dependency of this package. */
export interface OnnxRuntime {
  Tensor: new (type: 'uint8' | 'float32', data: Uint8Array | Float32Array, sizes: readonly number[]) => RuntimeTensor;
  InferenceSession: {
    create(model: Uint8Array | string, options?: object): Promise<RuntimeSession>;
  };
}

export interface RuntimeTensor {
  readonly data: unknown;
  readonly dims: readonly number[];
}

export interface RuntimeSession {
  readonly inputNames: readonly string[];
  run(feeds: Record<string, RuntimeTensor>): Promise<Record<string, RuntimeTensor>>;
  release(): Promise<void>;
}

/** onnxruntime-node, or undefined where it is not installed. */
export async function findOnnxRuntime(): Promise<OnnxRuntime | undefined> {
  const name = 'onnxruntime-node'; // not to be looked up by compilers and bundlers: it need not be there
  try {
    return (await import(name)) as OnnxRuntime;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw runtimeFailure('onnxruntime-node cannot be loaded', error);
  }
}

/** @throws DetectorError `ONNX_RUNTIME_NOT_FOUND`, `ONNX_RUNTIME_FAILED` */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  const runtime = await findOnnxRuntime();
  if (runtime) return runtime;
  throw new DetectorError(
    'ONNX_RUNTIME_NOT_FOUND',
    'onnxruntime-node is not installed, which runs ONNX files. Install it: npm install onnxruntime-node --ignore-scripts',
  );
}

export function runtimeFailure(what: string, error: unknown): DetectorError {
  const reason = messageOf(error).trim().split('\n')[0];
  return new DetectorError('ONNX_RUNTIME_FAILED', `${what}: ${reason}`, { cause: error });
}
