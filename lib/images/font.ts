import { GLYPHS } from './font-glyphs.ts';

/** Height of a capital letter in em: what centres a line of text. */
const CAP_HEIGHT = 0.729;

export interface TextPlace {
  /** Left end of the text, in pixels. */
  x: number;
  /** Baseline of the text, in pixels. */
  y: number;
  /** Font size, in pixels per em. */
  size: number;
  fill: string;
}

/** A run of characters that fonts have drawn as an image, in thousandths of an em. */
export interface DrawnRun {
  /** A data URL. */
  href: string;
  /** How far the next character stands to the right. */
  advance: number;
  /** The place of the image, from where the run begins and from its baseline, downwards. */
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The runs that the fonts of the machine have drawn. */
export type DrawnRuns = ReadonlyMap<string, DrawnRun>;

const NONE: DrawnRuns = new Map();
/**
 * One character of printable ASCII, or other ones with the blanks between them: words of a script have an order of their own. A letter
 * goes with the mark that follows it.
 */
const RUN = /(?:[ -~](?=\p{M}))?[^ -~]+(?: +[^ -~]+)*|[ -~]/gu;

/** The runs of a text for which there are no built-in outlines. */
export function foreignRuns(text: string): string[] {
  return (text.match(RUN) ?? []).filter((run) => GLYPHS[run] === undefined);
}

/** Width of a line of text in pixels; exact for printable ASCII and what fonts have drawn, a guess for any other character. */
export function textWidth(text: string, size: number, drawn = NONE): number {
  return ((text.match(RUN) ?? []).reduce((sum, run) => sum + advanceOfRun(run, drawn), 0) * size) / 1000;
}

function advanceOfRun(run: string, drawn: DrawnRuns): number {
  return drawn.get(run)?.advance ?? [...run].reduce((sum, character) => sum + advanceOf(character), 0);
}

/**
 * A line of text as SVG. Printable ASCII becomes outlines, so that it looks the same on every machine, with fonts or
 * without; runs of other characters become what fonts have drawn, or are left to whoever shows the SVG.
 */
export function svgText(text: string, { x, y, size, fill }: TextPlace, drawn = NONE): string {
  let at = 0;
  const shapes = (text.match(RUN) ?? []).map((run) => {
    const shape = runSvg(run, at, drawn.get(run));
    at += advanceOfRun(run, drawn);
    return shape;
  });
  return `<g transform="translate(${x} ${y}) scale(${size / 1000})" fill="${fill}">${shapes.join('')}</g>`;
}

function runSvg(run: string, at: number, drawn: DrawnRun | undefined): string {
  const path = GLYPHS[run]?.[1];
  if (path !== undefined) return path && `<path transform="translate(${at})" d="${path}"/>`;
  if (drawn === undefined) return `<text x="${at}" font-size="1000" font-family="sans-serif">${escapeXml(run)}</text>`;
  const { href, left, top, width, height } = drawn;
  return `<image x="${at + left}" y="${top}" width="${width}" height="${height}" href="${href}"/>`;
}

/** In thousandths of an em; letters with accents are about as wide as those without, most others are wide. */
function advanceOf(character: string): number {
  return GLYPHS[character]?.[0] ?? (character < '\u0530' ? 650 : 1000);
}

/** The baseline of text whose capitals are centred on the line `middle`, in pixels. */
export function centredBaseline(middle: number, size: number): number {
  return middle + (CAP_HEIGHT / 2) * size;
}

/** Replaces the `<text>` elements of a chart that echarts drew (all centred on their line) with outlines. */
export function outlineChartText(svg: string): string {
  return svg.replace(/<text ([^>]*)>([^<]*)<\/text>/g, (_, attributes: string, content: string) => {
    const attribute = (name: string) => new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1];
    const text = content.replace(/&(amp|lt|gt|quot|#39);/g, (_entity, name: string) => ENTITIES[name]!);
    const size = Number(/font-size:(\d+(?:\.\d+)?)px/.exec(attributes)?.[1] ?? 12);
    const shift = { start: 0, middle: -0.5, end: -1 }[attribute('text-anchor') ?? 'start'] ?? 0;
    const x = Number(attribute('x') ?? 0) + shift * textWidth(text, size);
    const y = centredBaseline(Number(attribute('y') ?? 0), size);
    return `<g transform="${attribute('transform') ?? ''}">${svgText(text, { x, y, size, fill: attribute('fill') ?? '#000' })}</g>`;
  });
}

/** Text for the inside of an XML element: markup escaped, characters that XML cannot hold as "?". */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '?')
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
