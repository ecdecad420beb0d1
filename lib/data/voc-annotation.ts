import { DetectorError, messageOf } from '../base/errors.ts';
import { runInSlices } from '../base/time-slices.ts';
import type { Box, Size } from '../boxes/box.ts';
import { readTextFile } from '../files/text-file.ts';
import { childOf, childrenOf, parseXml, parseXmlAtOnce, type XmlElement, xmlNumber } from '../files/xml-text.ts';
import { type AnnotationLimits, defaultLimits, raiseBytes, raiseObjects } from './annotation-limits.ts';
import type { Fault, WrittenObject } from './examine-objects.ts';
import { boxAround, boxAroundTurned } from './written-box.ts';

/** One `<object>` as written: nothing is shifted or clipped. A coordinate that is missing or no finite number is NaN. */
export interface VocObject extends Box {
  /** Empty when the element is missing. */
  name: string;
  difficult: boolean;
  /** What is wrong with it; absent where nothing is. */
  fault?: Fault;
  /** Where its box comes from, if not from `<bndbox>`. */
  derived?: string;
}

export interface VocAnnotation {
  objects: VocObject[];
  /** `<size>` in pixels, where it states a positive width and height. */
  size?: Size;
}

/**
 * Reads a Pascal VOC annotation file, in the encoding that it declares. A large one is read in slices, which leave the event loop its
 * turns. Rejects with `DetectorError` `ANNOTATION_INVALID`, naming the file.
 */
export async function readVocAnnotation(path: string, limits = defaultLimits): Promise<VocAnnotation> {
  const name = `annotation "${path}"`;
  try {
    const text = await readTextFile(path, limits.maxAnnotationBytes, raiseBytes);
    return toAnnotation(await runInSlices(parseXml(text, { item: 'object' })), limits);
  } catch (error) {
    throw invalid(name, messageOf(error), error);
  }
}

/**
 * Parses the text of a Pascal VOC annotation. Throws `DetectorError` `ANNOTATION_INVALID` for anything but well-formed XML with the
 * root `<annotation>`; a document type, and with it every entity of its own, is refused.
 */
export function parseVocAnnotation(text: string, name = 'the annotation', limits = defaultLimits): VocAnnotation {
  try {
    return toAnnotation(parseXmlAtOnce(text, { item: 'object' }), limits);
  } catch (error) {
    throw invalid(name, messageOf(error), error);
  }
}

/** An object in the words that all formats share. */
export function toWritten({ name, difficult, fault, derived, xmin, ymin, xmax, ymax }: VocObject): WrittenObject {
  return { label: name, box: { xmin, ymin, xmax, ymax }, difficult, fault, derived };
}

function toAnnotation(root: XmlElement, { maxObjects }: AnnotationLimits): VocAnnotation {
  if (root.name !== 'annotation') throw new Error(`its root element is not <annotation> but <${shown(root.name)}>`);
  const objects = childrenOf(root, 'object');
  if (objects.length > maxObjects) {
    throw new Error(`it has ${objects.length} objects, more than ${maxObjects}${raiseObjects}`);
  }
  const size = readSize(childOf(root, 'size'));
  return { objects: objects.map(readObject), ...(size && { size }) };
}

function readObject(element: XmlElement): VocObject {
  const name = textOf(element, 'name').normalize('NFC');
  const { box, fault: wrongBox, derived } = readBox(element);
  const fault: Fault | undefined =
    name === '' ? { kind: 'annotation-invalid', message: 'it has no <name>, or more than one' } : wrongBox;
  const difficult = /^(1|true)$/i.test(textOf(element, 'difficult'));
  return { name, ...box, difficult, ...(fault && { fault }), ...(derived !== undefined && { derived }) };
}

interface ReadBox {
  box: Box;
  fault?: Fault;
  derived?: string;
}

function readBox(element: XmlElement): ReadBox {
  if (childrenOf(element, 'bndbox').length > 0) return readBounds(childOf(element, 'bndbox'));
  const turned = childOf(element, 'robndbox');
  if (turned)
    return { box: readTurned(turned), derived: 'it has a turned box (<robndbox>): the box around it is used' };
  const polygon = childOf(element, 'polygon');
  if (polygon)
    return { box: aroundPolygon(polygon), derived: 'it has a <polygon> and no <bndbox>: the box around it is used' };
  return { box: boxAround([]), fault: coordinateFault('there is no <bndbox>') };
}

const SIDES = ['xmin', 'ymin', 'xmax', 'ymax'] as const;

function readBounds(bounds: XmlElement | undefined): ReadBox {
  if (!bounds) return { box: boxAround([]), fault: coordinateFault('there is more than one <bndbox>') };
  const side = (name: string) => xmlNumber(childOf(bounds, name)?.text);
  const box = { xmin: side('xmin'), ymin: side('ymin'), xmax: side('xmax'), ymax: side('ymax') };
  const wrong = SIDES.find((name) => Number.isNaN(box[name]));
  return wrong === undefined ? { box } : { box, fault: coordinateFault(describeSide(bounds, wrong)) };
}

/** What is written where a number should be, and how to mend it. */
function describeSide(bounds: XmlElement, name: string): string {
  const found = childrenOf(bounds, name);
  if (found.length !== 1) return found.length === 0 ? `there is no <${name}>` : `there are ${found.length} <${name}>`;
  const { text } = found[0]!;
  const remedy = /^\s*[+-]?\d+,\d+\s*$/.test(text)
    ? ': a number has a decimal point, not a comma'
    : /^[([]/.test(text)
      ? ': a list of numbers where one belongs'
      : '';
  return `${name} is "${shown(text)}"${remedy}`;
}

function coordinateFault(found: string): Fault {
  return { kind: 'coordinate-invalid', message: `expected four finite numbers in <bndbox>, but ${found}` };
}

/** roLabelImg's: centre, size, and an angle in radians, clockwise. */
function readTurned(element: XmlElement): Box {
  const [cx, cy, w, h, angle] = ['cx', 'cy', 'w', 'h', 'angle'].map((name) =>
    xmlNumber(childOf(element, name)?.text),
  ) as [number, number, number, number, number];
  const upright = { xmin: cx - w / 2, ymin: cy - h / 2, xmax: cx + w / 2, ymax: cy + h / 2 };
  return boxAroundTurned(upright, (angle * 180) / Math.PI, { x: cx, y: cy });
}

/** Points as `<x1>`, `<y1>`, `<x2>` and so on, or as `<pt><x>`, `<y>`. */
function aroundPolygon(polygon: XmlElement): Box {
  const points = polygon.children.flatMap((child) =>
    child.children.length > 0
      ? [xmlNumber(childOf(child, 'x')?.text), xmlNumber(childOf(child, 'y')?.text)]
      : /^[xy]\d+$/.test(child.name)
        ? [xmlNumber(child.text)]
        : [],
  );
  return boxAround(points);
}

function readSize(element: XmlElement | undefined): Size | undefined {
  const [width, height] = [xmlNumber(textOf(element, 'width')), xmlNumber(textOf(element, 'height'))];
  // Some tools write 0 where they did not look.
  return width > 0 && height > 0 ? { width, height } : undefined;
}

function textOf(element: XmlElement | undefined, name: string): string {
  return childOf(element, name)?.text ?? '';
}

function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}

function invalid(name: string, reason: string, cause?: unknown): DetectorError {
  const cut = reason.length > 200 ? `${reason.slice(0, 200)}...` : reason;
  return new DetectorError('ANNOTATION_INVALID', `Cannot read ${name} as Pascal VOC XML: ${cut}`, { cause });
}
