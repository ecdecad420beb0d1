import { type TensorInfo, type TensorSpan, tensorBytes } from '../safetensors.ts';
import { PickleGlobal } from './pickle.ts';
import { PickleCall, PickleOrderedDict, PicklePersistent, type PickleValue, writePickle } from './pickle-writer.ts';
import { rowMajorStrides, storageType } from './torch-tensor.ts';
import { writeStoredZip } from './zip-writer.ts';

/** A tensor of a new file with its names in the state_dict. The names share its bytes, as in a model that registers it twice. */
export interface TorchFileTensor extends TensorInfo {
  stateDictNames: readonly string[];
}

/**
 * Writes a new file `path` in the format of `torch.save` (zip, torch 1.6 and later). `torch.load(path, weights_only=True)` reads it. It is
 * the state_dict or, with `epoch`, the dictionary `{'epoch', 'model_state_dict'}`. `fill` writes the tensors' bytes, little-endian, rows
 * packed, at the spans that it gets under their `name`.
 */
export async function writeTorchFile(
  path: string,
  tensors: readonly TorchFileTensor[],
  { epoch }: { epoch?: number },
  fill: (spans: TensorSpan[]) => Promise<void>,
): Promise<void> {
  const stateDict = new PickleOrderedDict();
  for (const [key, tensor] of tensors.entries()) {
    for (const name of tensor.stateDictNames) stateDict.set(name, rebuild(tensor, `${key}`));
  }
  const root: PickleValue =
    epoch === undefined
      ? stateDict
      : new Map<string, PickleValue>([
          ['epoch', epoch],
          ['model_state_dict', stateDict],
        ]);
  const sizes = tensors.map(({ dtype, shape }) => tensorBytes(dtype, shape)!);
  const first = [
    { name: 'archive/data.pkl', content: writePickle(root) },
    { name: 'archive/byteorder', content: Buffer.from('little') },
  ];
  const storages = sizes.map((content, key) => ({ name: `archive/data/${key}`, content }));
  const version = { name: 'archive/version', content: Buffer.from('3\n') };
  await writeStoredZip(path, [...first, ...storages, version], (offsets) =>
    fill(
      tensors.map(({ name, dtype, shape }, key) => {
        return { name, dtype, shape, offset: offsets[first.length + key]!, byteLength: sizes[key]! };
      }),
    ),
  );
}

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks)` */
function rebuild({ dtype, shape }: TensorInfo, key: string): PickleCall {
  const elements = shape.reduce((product, length) => product * length, 1);
  const type = new PickleGlobal('torch', storageType(dtype));
  const storage = new PicklePersistent(['storage', type, key, 'cpu', elements]);
  const hooks = new PickleOrderedDict();
  const callee = new PickleGlobal('torch._utils', '_rebuild_tensor_v2');
  return new PickleCall(callee, [storage, 0, shape, rowMajorStrides(shape), false, hooks]);
}
