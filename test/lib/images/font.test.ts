import { describe, expect, it } from 'vitest';
import { escapeXml, outlineChartText, svgText, textWidth } from '../../../lib/images/font.ts';

describe('textWidth', () => {
  // Advances of DejaVu Sans in units of 2048 per em: A 1401, space 651.
  it('adds up the advances of the characters', () => {
    expect(textWidth('A', 1000)).toBe(684);
    expect(textWidth('A A', 10)).toBeCloseTo((1401 + 651 + 1401) / 204.8, 1);
    expect(textWidth('', 10)).toBe(0);
  });
});

describe('svgText', () => {
  const place = { x: 3, y: 20, size: 10, fill: '#123456' };

  it('draws printable ASCII without a font', () => {
    const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');
    const svg = svgText(ascii, place);
    expect(svg).not.toContain('<text');
    expect(svg.match(/<path /g)).toHaveLength(94); // all but the space
    expect(svg).toContain('<g transform="translate(3 20) scale(0.01)" fill="#123456">');
  });

  it('puts each character after the one before it', () => {
    expect(svgText('AA', place)).toContain('translate(684)');
  });

  it('leaves other characters to the fonts of the machine, escaped', () => {
    const svg = svgText('Gr\u00f6\u00dfe\u0007', place);
    expect(svg).toContain('>\u00f6\u00df</text>');
    expect(svg).toContain('>?</text>');
    expect(svg.match(/<path /g)).toHaveLength(3);
  });
});

describe('escapeXml', () => {
  it('leaves no markup and no character that XML cannot hold', () => {
    expect(escapeXml('<b a="1">&\'')).toBe('&#60;b a=&#34;1&#34;&#62;&#38;&#39;');
    expect(escapeXml('a\u0000b\ufffe\ud800c')).toBe('a?b??c');
    expect(escapeXml('\u732b \ud83d\udc31')).toBe('\u732b \ud83d\udc31');
  });
});

describe('outlineChartText', () => {
  it('keeps the place, the size and the colour of a text', () => {
    const text =
      '<text dominant-baseline="central" text-anchor="end" style="font-size:20px;" x="5" y="6" transform="translate(56 430)" fill="#54555a">A&amp;</text>';
    const svg = outlineChartText(`<svg>${text}</svg>`);
    const left = 5 - textWidth('A&', 20);
    expect(svg).toContain('<g transform="translate(56 430)">');
    expect(svg).toContain(`translate(${left} ${6 + 0.3645 * 20}) scale(0.02)" fill="#54555a"`);
    expect(svg).not.toContain('<text');
  });
});
