import type { Sharp } from 'sharp';
import { checkInteger, checkKeys, checkOneOf } from '../base/check.ts';
import type { CallOptions } from '../base/signal.ts';
import type { Detection } from '../boxes/detection.ts';
import { centredBaseline, type DrawnRuns, svgText, textWidth } from './font.ts';
import type { RgbImage } from './image.ts';
import type { SystemText } from './system-text.ts';

/** The options of `annotate`. */
export interface AnnotateOptions extends CallOptions {
  /**
   * The format of the encoded image.
   * @default 'jpeg'
   */
  format?: 'jpeg' | 'png' | undefined;
  /**
   * The quality of a JPEG, an integer from 1 to 100.
   * @default 92
   */
  quality?: number | undefined;
}

/** How an image is encoded. */
export type EncodeOptions = Omit<AnnotateOptions, 'signal'>;

/** A detection, or a known object, which has no score to show. */
export type Annotation = Pick<Detection, 'label' | 'box'> & {
  score?: number /** Of one object over many images. */;
  id?: number;
};

/** Longer class names are cut. */
const MAX_LABEL_CHARACTERS = 48;

/**
 * Draws the boxes of the detections with their labels and scores into a copy of the image, and encodes it.
 * A class has the same colour in every image; lines and letters grow with the image.
 * Boxes are clipped to the image; a box that is not in it, or not finite, is left out.
 */
export async function annotateImage(
  image: RgbImage,
  detections: readonly Annotation[],
  options: EncodeOptions = {},
): Promise<Buffer> {
  checkKeys('options', options, ['format', 'quality']);
  const format = checkOneOf('format', options.format ?? 'jpeg', ['jpeg', 'png']);
  const quality = checkInteger('quality', options.quality ?? 92, 1, 100);
  const drawn = await drawOver(image, detections);
  return (format === 'png' ? drawn.png() : drawn.jpeg({ quality })).toBuffer();
}

/** As `annotateImage`, but gives pixels; those of `image` itself where there is nothing to draw. */
export async function drawDetections(image: RgbImage, detections: readonly Annotation[]): Promise<RgbImage> {
  if (detections.length === 0) return image;
  const drawn = await drawOver(image, detections);
  const data = await drawn.removeAlpha().raw().toBuffer();
  return { data, width: image.width, height: image.height };
}

/** The image with everything drawn in, not yet computed. */
async function drawOver({ data, width, height }: RgbImage, detections: readonly Annotation[]): Promise<Sharp> {
  checkInteger('image.width', width, 1);
  checkInteger('image.height', height, 1);
  if (data.length !== width * height * 3) {
    throw new RangeError(`Expected ${width * height * 3} bytes of RGB for image.data but received ${data.length}`);
  }
  const { default: sharp } = await import('sharp'); // a native library: loaded when it is needed
  const image = sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false });
  const overlay = overlaySvg(width, height, detections, await systemTextOf(detections));
  return overlay === undefined ? image : image.composite([{ input: Buffer.from(overlay), limitInputPixels: false }]);
}

async function systemTextOf(detections: readonly Annotation[]): Promise<SystemText | undefined> {
  const texts = detections.map(({ label, score, id }) => {
    return { text: labelText(label, score, id), ink: classColours(label).ink };
  });
  if (texts.every(({ text }) => ASCII.test(text))) return undefined;
  const { drawSystemText } = await import('./system-text.ts');
  return await drawSystemText(texts);
}

const ASCII = /^[ -~]*$/;

/** What is drawn over an image of that size, if anything. Boxes first, then all labels, so that no box crosses a label; the best detections last, on top. */
export function overlaySvg(
  width: number,
  height: number,
  detections: readonly Annotation[],
  fonts?: SystemText,
): string | undefined {
  const line = Math.max(1, Math.round(Math.sqrt(width * height) / 300));
  const size = Math.min(Math.max(10, Math.sqrt(width * height) / 40), height / 2);
  const drawn = [...detections]
    .sort((a, b) => (a.score ?? 1) - (b.score ?? 1))
    .map(({ label, score, id, box }) => {
      const xmin = Math.max(0, box.xmin);
      const ymin = Math.max(0, box.ymin);
      const boxWidth = Math.min(width, box.xmax) - xmin;
      const boxHeight = Math.min(height, box.ymax) - ymin;
      if (!(boxWidth > 0 && boxHeight > 0)) return { box: '', label: '' };
      const { colour, ink } = classColours(label);
      const written = labelText(label, score, id);
      const text = fonts?.shown(written) ?? written;
      // The line lies inside the box, so that it also shows on the image's own edge.
      const rect = `x="${xmin + line / 2}" y="${ymin + line / 2}" width="${Math.max(boxWidth - line, 0.1)}" height="${Math.max(boxHeight - line, 0.1)}"`;
      return {
        // The dark seam keeps the line apart from a background of its own colour.
        box: `<g fill="none"><rect ${rect} stroke="#000" stroke-opacity="0.4" stroke-width="${line + 2}"/><rect ${rect} stroke="${colour}" stroke-width="${line}"/></g>`,
        label: labelSvg({ text, x: xmin, y: ymin, size, colour, ink, drawn: fonts?.drawn(ink) }, { width, height }),
      };
    });
  if (drawn.every(({ box }) => box === '')) return undefined;
  const shapes = [...drawn.map(({ box }) => box), ...drawn.map(({ label }) => label)];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${shapes.join('')}</svg>`;
}

interface Label {
  text: string;
  /** Upper left corner of the box that it belongs to. */
  x: number;
  y: number;
  size: number;
  colour: string;
  ink: string;
  /** What has no built-in outline, where fonts have drawn it. */
  drawn: DrawnRuns | undefined;
}

/** A filled tag above the box, or inside its upper edge where there is no room; never outside of the image. */
function labelSvg({ text, x, y, size, colour, ink, drawn }: Label, image: { width: number; height: number }): string {
  const padding = size * 0.3;
  const wanted = textWidth(text, size, drawn) + 2 * padding;
  const scale = Math.min(1, image.width / wanted);
  const [width, height, letters] = [wanted * scale, size * 1.4 * scale, size * scale];
  const left = Math.max(0, Math.min(x, image.width - width));
  const top = y >= height ? y - height : Math.min(y, image.height - height);
  const place = {
    x: left + padding * scale,
    y: centredBaseline(top + height / 2, letters),
    size: letters,
    fill: ink,
  };
  return `<rect x="${left}" y="${top}" width="${width}" height="${height}" fill="${colour}"/>${svgText(text, place, drawn)}`;
}

/** "cat 0.87", of a followed object "#3 cat 0.87". */
function labelText(label: string, score: number | undefined, id: number | undefined): string {
  const characters = [...label.normalize('NFC')];
  const name =
    characters.length > MAX_LABEL_CHARACTERS
      ? `${characters.slice(0, MAX_LABEL_CHARACTERS - 3).join('')}...`
      : characters.join('');
  const numbered = id === undefined ? name : `#${id} ${name}`;
  return score === undefined ? numbered : `${numbered} ${score.toFixed(2)}`;
}

/** A bright colour from the name alone (its FNV-1a hash as the hue), as "rgb(...)", and black or white for letters on it. */
function classColours(label: string): { colour: string; ink: string } {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(label)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  const hue = hash % 360;
  // HSL with saturation 0.9 and lightness 0.55.
  const channels = [0, 8, 4].map((n) => {
    const k = (n + hue / 30) % 12;
    return 0.55 - 0.9 * 0.45 * Math.max(-1, Math.min(k - 3, 9 - k, 1));
  });
  const [red, green, blue] = channels.map((channel) => channel ** 2.2) as [number, number, number];
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  const rgb = channels.map((channel) => Math.round(channel * 255));
  // Where black and white have the same contrast (WCAG): sqrt(1.05 * 0.05) - 0.05.
  return { colour: `rgb(${rgb.join(',')})`, ink: luminance > 0.179 ? '#000' : '#fff' };
}
