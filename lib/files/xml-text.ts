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
  /** Default 32. */
  maxDepth?: number;
}

/** Tags, comments, CDATA, instructions; a name ends at a blank, `/` or `>`. */
const TOKEN =
  /<(?:!--[\s\S]*?-->|\?[\s\S]*?\?>|!\[CDATA\[([\s\S]*?)\]\]>|\/([^\s<>/]+)\s*>|([^\s<>/!?][^\s<>/]*)((?:\s+[^\s<>/=]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>)/y;
const ATTRIBUTE = /([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const TOKENS_AT_ONCE = 256;
const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map();

interface OpenElement extends XmlElement {
  start: number;
}

/**
 * Reads a whole XML document, in steps: whoever runs it may pause after each. It knows elements, attributes, comments, CDATA and the
 * five named characters; a document type, and with it every entity of its own, is refused.
 *
 * Throws a plain `Error` that says what is wrong and in which line.
 */
export function* parseXml(
  text: string,
  { maxElements = 2_000_000, maxDepth = 32 }: XmlLimits = {},
): Generator<void, XmlElement> {
  if (text.trim() === '') throw new Error('it is empty. Start tag expected');
  if (/<!(DOCTYPE|ENTITY)/i.test(text))
    throw new Error('it declares a document type or entities. Remove the declaration');
  const stack: OpenElement[] = [];
  let root: XmlElement | undefined;
  let elements = 0;
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  for (let tokens = 1; at < text.length; tokens++) {
    if (tokens % TOKENS_AT_ONCE === 0) yield;
    const open = text.indexOf('<', at);
    const between = text.slice(at, open < 0 ? text.length : open);
    addText(stack.at(-1), unescapeXml(between), at);
    if (open < 0) break;
    TOKEN.lastIndex = open;
    const token = TOKEN.exec(text);
    if (token === null) throw mistake(open, unfinished(open));
    at = TOKEN.lastIndex;
    const [, cdata, closed, opened, attributes, empty] = token;
    if (cdata !== undefined) addText(stack.at(-1), cdata, open);
    else if (closed !== undefined) close(closed, open);
    else if (opened !== undefined) {
      if (root && stack.length === 0) throw mistake(open, 'Multiple possible root nodes found');
      if (++elements > maxElements) throw mistake(open, `it has more than ${maxElements} elements`);
      if (stack.length >= maxDepth) throw mistake(open, `it is nested more than ${maxDepth} levels deep`);
      const element = { name: opened, attributes: readAttributes(attributes!), children: [], text: '', start: open };
      root ??= element;
      stack.at(-1)?.children.push(element);
      if (empty === '') stack.push(element);
    }
  }
  const unclosed = stack.at(-1);
  if (unclosed) throw mistake(unclosed.start, `Unclosed tag '${shown(unclosed.name)}': no closing tag found`);
  if (!root) throw new Error('Start tag expected');
  return root;

  function addText(element: XmlElement | undefined, content: string, position: number): void {
    if (element) element.text += content;
    else if (content.trim() !== '') {
      const blanks = content.length - content.trimStart().length;
      throw mistake(position + blanks, `char '${content.trimStart()[0]}' is not expected`);
    }
  }

  function close(name: string, position: number): void {
    const element = stack.pop();
    if (element?.name !== name) {
      const expected = element ? `Expected closing tag '${shown(element.name)}'` : 'No tag is open';
      throw mistake(position, `${expected}, found '${shown(name)}'`);
    }
    element.text = element.children.length > 0 ? '' : element.text.trim();
  }

  function unfinished(position: number): string {
    return `Tag '${shown(text.slice(position, position + 40))}' is no tag, or no closing bracket was found`;
  }

  function mistake(position: number, reason: string): Error {
    let line = 1;
    for (let next = text.indexOf('\n'); next >= 0 && next < position; next = text.indexOf('\n', next + 1)) line++;
    return new Error(`${reason} (line ${line})`);
  }
}

/** At once: for a text that is known to be short. */
export function parseXmlAtOnce(text: string, limits?: XmlLimits): XmlElement {
  const work = parseXml(text, limits);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
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

function readAttributes(written: string): ReadonlyMap<string, string> {
  if (written === '') return NO_ATTRIBUTES;
  return new Map(
    Array.from(written.matchAll(ATTRIBUTE), ([, name, double, single]) => [name!, unescapeXml(double ?? single ?? '')]),
  );
}

function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}
