/** The parts that a data set may have. */
export const partNames = ['train', 'valid', 'test'] as const;
export type PartName = (typeof partNames)[number];

const WORDS: Record<string, PartName> = {
  train: 'train',
  training: 'train',
  trainval: 'train',
  val: 'valid',
  valid: 'valid',
  validation: 'valid',
  dev: 'valid',
  test: 'test',
  testing: 'test',
};

/** The part that a path below a data set belongs to by the names of its folders, the outermost first, and of its file. */
export function partOfPath(path: string): PartName | undefined {
  for (const segment of path.replace(/\.\w+$/, '').split('/')) {
    const part = partOfName(segment);
    if (part) return part;
  }
  return undefined;
}

/** The part that one name is for: "train2017", "instances_val" and "Validation" say so, "training_notes_test" says two things. */
export function partOfName(name: string): PartName | undefined {
  const found = new Set(
    name
      .toLowerCase()
      .split(/[^a-z]+/)
      .flatMap((word) => (Object.hasOwn(WORDS, word) ? WORDS[word]! : [])),
  );
  return found.size === 1 ? [...found][0] : undefined;
}
