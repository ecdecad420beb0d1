import { suggestion } from '../base/check.ts';
import type { Box, Size } from '../boxes/box.ts';
import type { GroundTruth } from '../boxes/detection.ts';
import type { DatasetIssue, DatasetIssueKind } from './dataset-issue.ts';

/** An annotated object as its source has it: nothing is shifted, clipped or compared with the class list. */
export interface WrittenObject {
  label: string;
  box: Box;
  difficult: boolean;
  /** Position in the file that it comes from, where that is not its position in the image. */
  position?: number | undefined;
  /** What its reader found wrong with it, for which it is skipped. */
  fault?: Fault | undefined;
  /** Where its box comes from, if the file has no upright box for it. */
  derived?: string | undefined;
}

export type Fault = Pick<DatasetIssue, 'kind' | 'message'>;

/** The objects of one sample that can be used, and what is wrong with the others. */
export interface ExaminedObjects {
  objects: GroundTruth[];
  issues: DatasetIssue[];
  /** Objects that the image shows and that could not be read; one of a class that was not asked for is none of them. */
  unreadable: number;
}

interface Verdict {
  truth?: GroundTruth;
  issue?: Fault & Pick<DatasetIssue, 'action'>;
  unreadable?: boolean;
}

/**
 * A box narrower than this, in pixels, is as good as empty: float32, in which the model computes, could not tell its sides apart
 * after a flip in a very large image.
 */
const MIN_BOX_SIDE = 0.01;

/** Names that are no class, each of which is compared with all classes. */
const MAX_HINTS = 1000;

/** The classes that objects may have. */
export class ClassLookup {
  /** The names, without a background. */
  readonly classes: readonly string[];
  readonly #indices: Map<string, number>;
  readonly #hints = new Map<string, string>();

  constructor(classes: readonly string[]) {
    this.classes = classes;
    this.#indices = new Map(classes.map((name, index) => [name.normalize('NFC'), index + 1]));
  }

  /** The label of a class: its position in the list, from 1. */
  indexOf(name: string): number | undefined {
    return this.#indices.get(name.normalize('NFC'));
  }

  nameOf(label: number): string {
    return this.classes[label - 1]!;
  }

  /** Worked out once for each unknown name, and for so many: there are seldom many, but often very many objects of one. */
  nearTo(unknown: string): string {
    const known = this.#hints.get(unknown);
    if (known !== undefined || this.#hints.size >= MAX_HINTS) return known ?? '';
    const hint = suggestion(unknown, this.classes);
    this.#hints.set(unknown, hint);
    return hint;
  }
}

/** Compares the objects of a sample with its image and the class list; an issue names `file` and the object's position. */
export function* examineObjects(
  written: readonly WrittenObject[],
  image: Size,
  file: string,
  lookup: ClassLookup,
): Generator<void, ExaminedObjects> {
  const examined: ExaminedObjects = { objects: [], issues: [], unreadable: 0 };
  for (const [i, each] of written.entries()) {
    const { truth, issue, unreadable } = examineObject(each, image, lookup);
    const object = each.position ?? i;
    if (truth) examined.objects.push(truth);
    if (truth && each.derived !== undefined)
      examined.issues.push({ file, object, kind: 'box-derived', message: each.derived, action: 'repaired' });
    if (issue) examined.issues.push({ file, object, ...issue });
    if (unreadable) examined.unreadable++;
    yield;
  }
  return examined;
}

/** The ground truth that an object stands for, and what is wrong with it. Nothing is shifted by one. */
function examineObject({ label, box, difficult, fault }: WrittenObject, image: Size, lookup: ClassLookup): Verdict {
  if (fault) return skip(fault.kind, fault.message);
  const labelIndex = lookup.indexOf(label);
  if (labelIndex === undefined) {
    const name = label.length > 80 ? `${label.slice(0, 80)}...` : label;
    const hint = lookup.nearTo(label);
    // A name that is written in another way is an object that cannot be read, any other one of a class that nobody asked for.
    return { ...skip('unknown-class', `"${name}" is not in the class list${hint}`), unreadable: hint !== '' };
  }
  const { xmin, ymin, xmax, ymax } = box;
  const shown = `[${xmin}, ${ymin}, ${xmax}, ${ymax}]`;
  if (![xmin, ymin, xmax, ymax].every(Number.isFinite))
    return skip('coordinate-invalid', `expected four finite numbers for its box, found ${shown}`);
  if (isEmpty(box)) return skip('box-empty', `${shown} needs xmin < xmax and ymin < ymax`);
  const clipped = {
    xmin: Math.max(0, xmin),
    ymin: Math.max(0, ymin),
    xmax: Math.min(image.width, xmax),
    ymax: Math.min(image.height, ymax),
  };
  const extent = `the image of ${image.width} x ${image.height}`;
  if (isEmpty(clipped)) return skip('box-outside', `${shown} lies outside ${extent}`);
  const truth = { label: lookup.nameOf(labelIndex), labelIndex, box: clipped, difficult };
  if (clipped.xmin === xmin && clipped.ymin === ymin && clipped.xmax === xmax && clipped.ymax === ymax)
    return { truth };
  return { truth, issue: { kind: 'box-clipped', message: `${shown} reaches beyond ${extent}`, action: 'repaired' } };
}

function skip(kind: DatasetIssueKind, message: string): Verdict {
  return { issue: { kind, message, action: 'skipped' }, unreadable: true };
}

/** Whether a box has no area that a model could learn from. */
export function isEmpty({ xmin, ymin, xmax, ymax }: Box): boolean {
  return xmax - xmin < MIN_BOX_SIDE || ymax - ymin < MIN_BOX_SIDE;
}
