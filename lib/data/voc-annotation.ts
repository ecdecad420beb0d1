import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { DetectorError, messageOf } from '../base/errors.ts';
import { readBoundedFile } from '../files/bounded-file.ts';

/** One `<object>` as written: nothing is shifted or clipped. A coordinate that is missing or no finite number is NaN. */
export interface VocObject {
  /** Empty when the element is missing. */
  name: string;
  xmin: number;
  ymin: number;
  xmax: number;
  ymax: number;
  difficult: boolean;
}

export interface VocAnnotation {
  objects: VocObject[];
  /** `<size>` in pixels, where it states a positive width and height. */
  size?: { width: number; height: number };
}

/**
 * The parser takes a text in one go, and each element, and each name of one that is new, costs it time: within these limits, which leave
 * room for 1,400 objects as VOC writes them, it holds up the event loop for some 50 ms.
 */
export const MAX_ANNOTATION_BYTES = 256 * 1024;
const MAX_ELEMENTS = 20_000;
const MAX_NAMES = 200;

/** VOC's own files are four elements deep (annotation, object, part, bndbox). */
const MAX_DEPTH = 16;

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  processEntities: false,
  maxNestedTags: MAX_DEPTH,
});

/** Reads a Pascal VOC annotation file. Rejects with `DetectorError` `ANNOTATION_INVALID`, naming the file. */
export async function readVocAnnotation(path: string): Promise<VocAnnotation> {
  const name = `annotation "${path}"`;
  let text: string;
  try {
    const bytes = await readBoundedFile(path, MAX_ANNOTATION_BYTES);
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw invalid(name, messageOf(error), error);
  }
  return parseVocAnnotation(text, name);
}

/**
 * Parses the text of a Pascal VOC annotation. Throws `DetectorError` `ANNOTATION_INVALID` for anything but well-formed XML with the
 * root `<annotation>`; a document type, and with it every entity of its own, is refused.
 */
export function parseVocAnnotation(text: string, name = 'the annotation'): VocAnnotation {
  if (text.length > MAX_ANNOTATION_BYTES) throw invalid(name, `it has more than ${MAX_ANNOTATION_BYTES} characters`);
  if (/<!(DOCTYPE|ENTITY)/i.test(text))
    throw invalid(name, 'it declares a document type or entities. Remove the declaration');
  const tags = text.match(/<[^\s/>]+/g) ?? [];
  if (tags.length > MAX_ELEMENTS) throw invalid(name, `it has more than ${MAX_ELEMENTS} elements`);
  if (new Set(tags).size > MAX_NAMES) throw invalid(name, `it has elements of more than ${MAX_NAMES} names`);
  const verdict = XMLValidator.validate(text);
  if (verdict !== true) throw invalid(name, `${verdict.err.msg} (line ${verdict.err.line})`);
  let tree: unknown;
  try {
    tree = parser.parse(text);
  } catch (error) {
    throw invalid(name, messageOf(error), error);
  }
  const root = child(tree, 'annotation');
  if (root === undefined) throw invalid(name, 'its root element is not <annotation>');
  const size = readSize(child(root, 'size'));
  return { objects: children(root, 'object').map(readObject), ...(size && { size }) };
}

function readObject(node: unknown): VocObject {
  const box = child(node, 'bndbox');
  return {
    name: unescapeXml(text(child(node, 'name'))),
    xmin: readNumber(child(box, 'xmin')),
    ymin: readNumber(child(box, 'ymin')),
    xmax: readNumber(child(box, 'xmax')),
    ymax: readNumber(child(box, 'ymax')),
    difficult: /^(1|true)$/i.test(text(child(node, 'difficult'))),
  };
}

function readSize(node: unknown): { width: number; height: number } | undefined {
  const [width, height] = [readNumber(child(node, 'width')), readNumber(child(node, 'height'))];
  // Some tools write 0 where they did not look.
  return width > 0 && height > 0 ? { width, height } : undefined;
}

/** The elements of that name directly below: never those of a `<part>` further down. */
function children(node: unknown, name: string): unknown[] {
  if (node === null || typeof node !== 'object' || !Object.hasOwn(node, name)) return [];
  const found = (node as Record<string, unknown>)[name];
  return Array.isArray(found) ? found : [found];
}

/** The only element of that name directly below: of two, none is the right one. */
function child(node: unknown, name: string): unknown {
  const found = children(node, name);
  return found.length === 1 ? found[0] : undefined;
}

function text(node: unknown): string {
  return typeof node === 'string' ? node : '';
}

function readNumber(node: unknown): number {
  const written = text(node);
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(written) ? Number(written) : Number.NaN;
  return Number.isFinite(value) ? value : Number.NaN;
}

/** XML's five named characters and character numbers, which Python's ElementTree writes for every letter outside ASCII. */
function unescapeXml(escaped: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return escaped.replace(/&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([\da-f]{1,6}));/gi, (whole, word, decimal, hex) => {
    if (word !== undefined) return named[word] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

function invalid(name: string, reason: string, cause?: unknown): DetectorError {
  const shown = reason.length > 200 ? `${reason.slice(0, 200)}...` : reason;
  return new DetectorError('ANNOTATION_INVALID', `Cannot read ${name} as Pascal VOC XML: ${shown}`, { cause });
}
