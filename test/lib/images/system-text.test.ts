import sharp from 'sharp';
import { describe, expect, it, vi } from 'vitest';
import { annotateImage, overlaySvg } from '../../../lib/images/draw.ts';
import { drawSystemText } from '../../../lib/images/system-text.ts';

const image = { data: new Uint8Array(300 * 200 * 3).fill(128), width: 300, height: 200 };
const box = { xmin: 20, ymin: 60, xmax: 200, ymax: 150 };

/** Pixels of the label, dark and light. */
async function draw(label: string): Promise<Buffer> {
  const png = await annotateImage(image, [{ label, box }], { format: 'png' });
  return await sharp(png).extract({ left: 20, top: 40, width: 180, height: 20 }).greyscale().raw().toBuffer();
}

const noted = async (text: string) => await drawSystemText([{ text, ink: '#000' }]);
/** Whether a font of this machine has it; what is asked first is what is tested. */
const has = async (character: string) => (await noted(character))?.shown(character) === character;

it('has nothing to do for ASCII', async () => {
  expect(await noted('cat 0.9')).toBeUndefined();
});

it('draws letters that a font has, each script in its own order, wider with every letter', async ({ skip }) => {
  if (!(await has('Ж'))) skip();
  const widthOf = async (text: string) => (await noted(text))!.drawn('#000').get(text)!.advance;
  expect(await widthOf('ЖЖ')).toBeGreaterThan(1.5 * (await widthOf('Ж')));
  expect(await widthOf('Ж Ж')).toBeGreaterThan(await widthOf('ЖЖ'));
  const [one, other] = [await draw('Ж'), await draw('Ш')];
  expect(one.equals(other)).toBe(false);
});

it('stands on the baseline of the built-in letters', async ({ skip }) => {
  if (!(await has('ш'))) skip();
  const { top, height } = (await noted('ш'))!.drawn('#000').get('ш')!;
  expect(Math.abs(top + height)).toBeLessThan(300); // an image that ends below the baseline, by the H beside it
  expect(top).toBeLessThan(-400);
});

it('names the number of a character that no font has, tells other ones apart, and warns once', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const text = (await noted('\ue123 cat'))!.shown('\ue123 cat');
  expect(text).toBe('[U+E123] cat');
  const [one, other] = [await draw('\ue123'), await draw('\ue124')];
  expect(one.equals(other)).toBe(false);
  await draw('\ue125');
  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn.mock.calls[0]![0]).toContain('Install a font');
  warn.mockRestore();
});

describe('an overlay', () => {
  it('keeps the colour of the class whatever can be shown of its name', async () => {
    const svg = (fonts?: Awaited<ReturnType<typeof noted>>) => overlaySvg(300, 200, [{ label: '\ue123', box }], fonts)!;
    const colour = (text: string) => /stroke="(rgb[^"]+)"/.exec(text)![1];
    const fonts = await noted('\ue123');
    expect(colour(svg(fonts))).toBe(colour(svg()));
    expect(svg(fonts)).not.toContain('<text');
    expect(svg()).toContain('<text');
  });

  it.each([
    '<b>&"\'',
    '猫<image href="file:///etc/passwd"/>',
    '\u0000ä\u0007',
    '\ud800ä',
    'ä'.repeat(10_000),
    '\u202eabc\u0301',
  ])('takes hostile names as text: %j', async (label) => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    expect((await draw(label)).some((value) => value !== 128)).toBe(true);
    vi.restoreAllMocks();
  });
});
