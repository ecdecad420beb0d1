import type { TensorInfo, TensorSpan } from '../weights/safetensors.ts';

/** The rows of a head's tensors that belong to a class, so that a trained head serves other classes. */

/** What became of the classes of a detector whose head comes from one of other classes. */
export interface ClassRows {
  /** Classes that the file has too: their rows come from there. */
  kept: string[];
  /** Classes that begin at random. */
  added: string[];
}

/** The classes of a detector and of a file, without the background. */
export interface OtherClasses {
  ours: readonly string[];
  theirs: readonly string[];
}

/** torchvision's heads have the background before the classes, RTMDet's has none. */
const classTensors = [
  { pattern: /^head\.classification_head\.(module_list\.\d+|cls_logits)\.(weight|bias)$/, background: 1 },
  { pattern: /^head\.(one_to_one\.)?rtm_cls\.\d+\.(weight|bias)$/, background: 0 },
];

export function isOfClasses(name: string): boolean {
  return classTensors.some(({ pattern }) => pattern.test(name));
}

export function describeRows({ ours, theirs }: OtherClasses): ClassRows {
  const known = new Set(theirs);
  return { kept: ours.filter((name) => known.has(name)), added: ours.filter((name) => !known.has(name)) };
}

/**
 * Where the rows of the classes that both have lie in the file, and which of ours they are; undefined where the tensors are not for
 * these classes. A row belongs to a default box and, within its rows, to a class.
 */
export function classRows(
  wanted: TensorInfo,
  found: TensorSpan,
  { ours, theirs }: OtherClasses,
): TensorSpan[] | undefined {
  const kind = classTensors.find(({ pattern }) => pattern.test(wanted.name));
  if (kind === undefined) return undefined;
  const [most, least] = [ours, theirs].map(({ length }) => length + kind.background) as [number, number];
  const [rows, ...shape] = found.shape as [number, ...number[]];
  const boxes = rows / least;
  if (!Number.isInteger(boxes) || [boxes * most, ...shape].join() !== wanted.shape.join()) return undefined;
  const byteLength = found.byteLength / rows;
  const background = Array.from({ length: kind.background }, () => [0, 0] as const);
  const shared = ours.flatMap((name, i) => {
    const place = theirs.indexOf(name);
    return place < 0 ? [] : [[i + kind.background, place + kind.background] as const];
  });
  return Array.from({ length: boxes }, (_, box) =>
    [...background, ...shared].map(([own, other]) => ({
      ...{ name: wanted.name, dtype: found.dtype, shape, byteLength },
      offset: found.offset + (box * least + other) * byteLength,
      row: box * most + own,
    })),
  ).flat();
}
