import { type DrawnRun, type DrawnRuns, escapeXml, foreignRuns } from './font.ts';

/** A text to draw, and the colour of its letters. */
export interface Lettering {
  text: string;
  ink: string;
}

/** Texts as the fonts of the machine draw them. */
export interface SystemText {
  /** The text with `[U+732B]` for each character that no font has. */
  shown(text: string): string;
  drawn(ink: string): DrawnRuns;
}

/** Pixels per em. Letters in images are seldom larger. */
const EM = 64;
/** Beside what a run shows, in thousandths of an em. */
const BEARING = 60;
/** Class names are few: more than these are made by a program. */
const MAX_KNOWN = 5000;

const runs = new Map<string, DrawnRun>();
const known = new Map<string, boolean>();
let isWarned = false;

/** Draws characters without a built-in outline with the fonts of the machine, through Pango. Undefined where all texts are printable ASCII. */
export async function drawSystemText(texts: readonly Lettering[]): Promise<SystemText | undefined> {
  if (texts.every(({ text }) => foreignRuns(text).length === 0)) return undefined;
  if (runs.size > MAX_KNOWN || known.size > MAX_KNOWN) for (const cache of [runs, known]) cache.clear();
  for (const character of new Set(texts.flatMap(({ text }) => foreignRuns(text).flatMap((run) => [...run]))))
    if (!known.has(character)) known.set(character, await hasGlyph(character));
  const byInk = new Map<string, Map<string, DrawnRun>>();
  for (const { text, ink } of texts) {
    const drawn = byInk.get(ink) ?? new Map<string, DrawnRun>();
    byInk.set(ink, drawn);
    for (const run of foreignRuns(shownText(text))) drawn.set(run, await drawRun(run, ink));
  }
  warnOnce(texts);
  return { shown: shownText, drawn: (ink) => byInk.get(ink) ?? new Map() };
}

function shownText(text: string): string {
  return [...text].map((character) => (known.get(character) === false ? `[${codeOf(character)}]` : character)).join('');
}

function codeOf(character: string): string {
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
}

function warnOnce(texts: readonly Lettering[]): void {
  const missing = texts.find(({ text }) => shownText(text) !== text);
  if (missing === undefined || isWarned) return;
  isWarned = true;
  process.emitWarning(
    `No font of this machine has all letters of "${missing.text}": they are drawn as ${shownText(missing.text)}. Install a font with them, such as Noto Sans`,
    { code: 'DINOV3_DET_FONT' },
  );
}

/** Joiners and blanks show nothing by themselves. */
const INVISIBLE = /^[\p{Cf}\p{Z}\p{Cc}\p{Cs}]$/u;

/**
 * Whether a font has the character. Pango draws a frame with the number of one that none has: it is recognised by the frame around a
 * character that never is one.
 */
async function hasGlyph(character: string): Promise<boolean> {
  if (INVISIBLE.test(character)) return true;
  const [found, frame] = await Promise.all([render(character, '#000'), render(frameFor(character), '#000')]);
  if (found === undefined) return false;
  return frame === undefined || rimOf(found) !== rimOf(frame);
}

/** A noncharacter whose number has as many digits. */
function frameFor(character: string): string {
  return character.codePointAt(0)! > 0xffff ? '\u{10fffe}' : '\ufdd0';
}

/** The outermost pixels and those just inside, which are empty in a frame. */
function rimOf({ data, width, height }: Drawing): string {
  const rim: number[] = [width, height];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const distance = Math.min(x, y, width - 1 - x, height - 1 - y);
      if (distance < RIM) rim.push(data[4 * (y * width + x) + 3]!);
    }
  }
  return rim.join(' ');
}

/** Pixels, for letters of `EM`. */
const RIM = 4;

interface Drawing {
  /** RGBA. */
  data: Uint8Array;
  width: number;
  height: number;
}

/** Undefined where nothing was drawn. */
async function render(text: string, ink: string): Promise<Drawing | undefined> {
  try {
    const { default: sharp } = await import('sharp');
    const markup = `<span foreground="${ink}">${escapeXml(text)}</span>`;
    const drawing = sharp({ text: { text: markup, font: `sans-serif ${EM}`, dpi: 72, rgba: true } });
    const { data, info } = await drawing.raw().toBuffer({ resolveWithObject: true });
    return { data, width: info.width, height: info.height };
  } catch {
    return undefined; // no font at all, or nothing to see
  }
}

async function drawRun(run: string, ink: string): Promise<DrawnRun> {
  const key = `${ink} ${run}`;
  const drawn = runs.get(key) ?? (await renderRun(run, ink));
  runs.set(key, drawn);
  return drawn;
}

/** An H before the run shows where the baseline is. */
async function renderRun(run: string, ink: string): Promise<DrawnRun> {
  const drawing = await render(`H\u00a0\u00a0\u00a0${run}`, ink);
  const gap = drawing && gapOf(drawing);
  if (drawing === undefined || gap === undefined)
    return { href: EMPTY, advance: 2 * BEARING, left: 0, top: 0, width: 1, height: 1 };
  const { width, height } = drawing;
  const thousandths = (pixels: number) => (1000 * pixels) / EM;
  const { default: sharp } = await import('sharp');
  const png = await sharp(drawing.data, { raw: { width, height, channels: 4 } })
    .extract({ left: gap.end, top: 0, width: width - gap.end, height })
    .png()
    .toBuffer();
  return {
    href: `data:image/png;base64,${png.toString('base64')}`,
    advance: thousandths(width - gap.end) + 2 * BEARING,
    left: BEARING,
    top: -thousandths(gap.baseline),
    width: thousandths(width - gap.end),
    height: thousandths(height),
  };
}

/** One transparent pixel. */
const EMPTY =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** Where the run begins, after the H and the blanks, and the row below the H; undefined where nothing follows. */
function gapOf({ data, width, height }: Drawing): { end: number; baseline: number } | undefined {
  const isDrawn = (x: number, y: number) => data[4 * (y * width + x) + 3]! > 127;
  const columnOf = (x: number) => Array.from({ length: height }, (_, y) => isDrawn(x, y));
  let begin = 0;
  while (begin < width && !columnOf(begin).includes(true)) begin++;
  let x = begin;
  while (x < width && columnOf(x).includes(true)) x++;
  const baseline = begin === width ? 0 : columnOf(begin + 1).lastIndexOf(true) + 1;
  while (x < width && !columnOf(x).includes(true)) x++;
  return x >= width ? undefined : { end: Math.max(0, x - 1), baseline };
}
