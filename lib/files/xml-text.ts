import { XMLParser, XMLValidator } from 'fast-xml-parser';

/** An element of an XML document. */
export interface XmlElement {
  name: string;
  attributes: ReadonlyMap<string, string>;
  children: XmlElement[];
  /** What stands in it, without the blanks around it; empty where it has elements. */
  text: string;
}

export interface XmlLimits {
  /** Default 2,000,000. */
  maxElements?: number;
  /**
   * The element below the root of which there may be very many, such as `object`: a large document is parsed in pieces of whole ones.
   * Default: in one piece.
   */
  item?: string;
}

const MAX_DEPTH = 32;
/** The parser takes a text in one go: so much of it takes a few milliseconds. */
const PIECE_CHARACTERS = 16 * 1024;

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  trimValues: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  cdataPropName: '#cdata',
  maxNestedTags: MAX_DEPTH,
});

/**
 * Reads a whole XML document, in steps: whoever runs it may pause after each. A document type, and with it every entity of its own, is
 * refused.
 *
 * Throws a plain `Error` that says what is wrong and, where that is known, in which line.
 */
export function* parseXml(
  text: string,
  { maxElements = 2_000_000, item }: XmlLimits = {},
): Generator<void, XmlElement> {
  if (text.trim() === '') throw new Error('it is empty. Start tag expected');
  if (/<!(DOCTYPE|ENTITY)/i.test(text))
    throw new Error('it declares a document type or entities. Remove the declaration');
  if (countTags(text) > maxElements) throw new Error(`it has more than ${maxElements} elements`);
  const { frame, pieces } = cut(text.replace(/^\ufeff/, ''), item);
  const root = parsePiece(frame, 1);
  for (const { content, line } of pieces) {
    yield;
    root.children.push(...parsePiece(`<pieces>${content}</pieces>`, line).children);
  }
  return pieces.length > 0 ? { ...root, text: '' } : root;
}

/** At once: for a text that is known to be short. */
export function parseXmlAtOnce(text: string, limits?: XmlLimits): XmlElement {
  const work = parseXml(text, limits);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

interface Piece {
  /** Whole items, one after the other. */
  content: string;
  /** Where it begins in the document. */
  line: number;
}

/** The document without its items, and these in pieces; of a small document, or one without items, all is frame. */
function cut(text: string, item: string | undefined): { frame: string; pieces: Piece[] } {
  const first = item === undefined ? -1 : text.search(new RegExp(`<${item}[\\s>]`));
  const close = `</${item}>`;
  const end = text.lastIndexOf(close) + close.length;
  if (text.length <= PIECE_CHARACTERS || first < 0 || end <= first) return { frame: text, pieces: [] };
  const pieces: Piece[] = [];
  let line = countLines(text, 0, first);
  for (let begin = first; begin < end; ) {
    const last = text.lastIndexOf(close, Math.min(end, begin + PIECE_CHARACTERS) - close.length);
    const stop = (last >= begin ? last : text.indexOf(close, begin)) + close.length;
    pieces.push({ content: text.slice(begin, stop), line });
    line += countLines(text, begin, stop) - 1;
    begin = stop;
  }
  return { frame: text.slice(0, first) + text.slice(end), pieces };
}

function countLines(text: string, begin: number, end: number): number {
  let line = 1;
  for (let next = text.indexOf('\n', begin); next >= 0 && next < end; next = text.indexOf('\n', next + 1)) line++;
  return line;
}

function countTags(text: string): number {
  let count = 0;
  for (let at = text.indexOf('<'); at >= 0; at = text.indexOf('<', at + 1)) if (text[at + 1] !== '/') count++;
  return count;
}

type Node = Record<string, unknown>;

function parsePiece(text: string, line: number): XmlElement {
  const verdict = XMLValidator.validate(text);
  if (verdict !== true) throw new Error(`${verdict.err.msg} (line ${line + verdict.err.line - 1})`);
  const [root, ...others] = (parser.parse(text) as Node[]).filter((node) => !isBlank(node));
  if (!root || others.length > 0) throw new Error('it has more than one root element');
  return toElement(root);
}

function isBlank(node: Node): boolean {
  return '#text' in node && String(node['#text']).trim() === '';
}

function nameOf(node: Node): string {
  return Object.keys(node).find((key) => key !== ':@')!;
}

function toElement(node: Node): XmlElement {
  const name = nameOf(node);
  const nodes = node[name] as Node[];
  const children = nodes.filter((each) => !['#text', '#cdata'].includes(nameOf(each))).map(toElement);
  const attributes = Object.entries((node[':@'] ?? {}) as Record<string, string>);
  return {
    name,
    attributes: new Map(attributes.map(([key, value]) => [key, unescapeXml(value)])),
    children,
    text: children.length > 0 ? '' : nodes.map(textOf).join('').trim(),
  };
}

function textOf(node: Node): string {
  const cdata = node['#cdata'] as Node[] | undefined;
  return cdata ? cdata.map((each) => String(each['#text'])).join('') : unescapeXml(String(node['#text']));
}

/** The elements of that name directly below: never those further down. */
export function childrenOf(element: XmlElement | undefined, name: string): XmlElement[] {
  return element?.children.filter((child) => child.name === name) ?? [];
}

/** The only element of that name directly below: of two, none is the right one. */
export function childOf(element: XmlElement | undefined, name: string): XmlElement | undefined {
  const found = childrenOf(element, name);
  return found.length === 1 ? found[0] : undefined;
}

/** A number in decimal notation; NaN for anything else. */
export function xmlNumber(written: string | undefined): number {
  const text = written?.trim() ?? '';
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : Number.NaN;
}

/** XML's five named characters and character numbers, which Python's ElementTree writes for every letter outside ASCII. */
export function unescapeXml(escaped: string): string {
  if (!escaped.includes('&')) return escaped;
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return escaped.replace(/&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([\da-f]{1,6}));/gi, (whole, word, decimal, hex) => {
    if (word !== undefined) return named[word] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
