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

/** Width of a line of text in pixels; exact for printable ASCII, a guess for any other character. */
export function textWidth(text: string, size: number): number {
  return ([...text].reduce((sum, character) => sum + advanceOf(character), 0) * size) / 1000;
}

/**
 * A line of text as SVG. Printable ASCII becomes outlines, so that it looks the same on every machine, with fonts or
 * without; runs of other characters are left to the fonts that the machine has.
 */
export function svgText(text: string, { x, y, size, fill }: TextPlace): string {
  let at = 0;
  const shapes = (text.match(/[ -~]|[^ -~]+/g) ?? []).map((run) => {
    const path = GLYPHS[run]?.[1];
    const shape =
      path === undefined
        ? `<text x="${at}" font-size="1000" font-family="sans-serif">${escapeXml(run)}</text>`
        : path && `<path transform="translate(${at})" d="${path}"/>`;
    at += [...run].reduce((sum, character) => sum + advanceOf(character), 0);
    return shape;
  });
  return `<g transform="translate(${x} ${y}) scale(${size / 1000})" fill="${fill}">${shapes.join('')}</g>`;
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
