import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { lineChartSvg, renderSvg } from '../../../lib/images/plot.ts';

const chart = { title: 'T', xLabel: 'x', yLabel: 'y' };

/** Pixels of the image that are near to one of the two colours of echarts' first series. */
async function colours(svg: string): Promise<{ first: number; second: number; width: number; height: number }> {
  const { data, info } = await sharp(await renderSvg(svg))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const near = (i: number, [r, g, b]: readonly [number, number, number]) =>
    Math.abs(data[i]! - r) + Math.abs(data[i + 1]! - g) + Math.abs(data[i + 2]! - b) < 12;
  let [first, second] = [0, 0];
  for (let i = 0; i < data.length; i += 3) {
    if (near(i, [0x50, 0x70, 0xdd])) first++;
    if (near(i, [0xb6, 0xd6, 0x34])) second++;
  }
  return { first, second, width: info.width, height: info.height };
}

describe('lineChartSvg', () => {
  it('draws a line for each series, at the size that is asked for', async () => {
    const points: [number, number][] = [
      [1, 3],
      [2, 2],
      [3, 1],
    ];
    const one = await colours(
      await lineChartSvg({ ...chart, series: [{ name: 'a', points }], width: 400, height: 300 }),
    );
    expect(one).toMatchObject({ width: 400, height: 300, second: 0 });
    expect(one.first).toBeGreaterThan(200);
    const two = await colours(
      await lineChartSvg({
        ...chart,
        series: [
          { name: 'a', points },
          { name: 'b', points: points.map(([x, y]) => [x, y + 1]) },
        ],
      }),
    );
    expect(two).toMatchObject({ width: 900, height: 560 });
    expect(two.second).toBeGreaterThan(200);
  });

  it('leaves gaps where there is no value, and draws nothing at all without any', async () => {
    const points: [number, number | null][] = [
      [1, 1],
      [2, null],
      [3, Number.NaN],
      [4, 1],
    ];
    const whole = await colours(
      await lineChartSvg({ ...chart, series: [{ name: 'a', points: points.map(([x]) => [x, 1]) }] }),
    );
    const gap = await colours(await lineChartSvg({ ...chart, series: [{ name: 'a', points }] }));
    expect(gap.first).toBeGreaterThan(0);
    expect(gap.first).toBeLessThan(whole.first / 2);
    expect((await colours(await lineChartSvg({ ...chart, series: [{ name: 'a', points: [] }] }))).first).toBe(0);
    expect((await colours(await lineChartSvg({ ...chart, series: [] }))).first).toBe(0);
  });

  it('takes many points, and names with markup', async () => {
    const points = Array.from({ length: 200_000 }, (_, i): [number, number] => [i, Math.sin(i / 1e4)]);
    const svg = await lineChartSvg({ ...chart, title: '<script>&', series: [{ name: '"<b>"', points }] });
    expect(svg).not.toContain('<script');
    expect((await colours(svg)).first).toBeGreaterThan(200);
  });

  it('needs no font', async () => {
    expect(await lineChartSvg({ ...chart, series: [{ name: 'a', points: [[1, 0.5]] }] })).not.toContain('<text');
  });
});
