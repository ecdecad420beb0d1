import type { RunResult } from './task.ts';

/** Markdown: a line for each recipe, in the order of their first results, with mean and standard deviation over its seeds. */
export function formatResults(results: readonly RunResult[]): string {
  const first = results[0];
  if (first === undefined) return '';
  const has75 = results.some(({ ap75 }) => ap75 !== undefined);
  const classes = first.classes.map(({ name }) => name);
  const sizes = first.sizes.filter(({ ap50 }) => ap50 >= 0).map(({ name }) => name);
  const heading = [
    ...['recipe', 'seeds', 'AP@0.5:0.95', 'AP@0.5'],
    ...(has75 ? ['AP@0.75'] : []),
    ...classes.map((name) => `${name} AP@0.5:0.95, AP@0.5`),
    ...sizes.map((name) => `AP@0.5, ${name}`),
    ...['images', 'images/s', 'minutes'],
  ];
  const all = results.flatMap((run) => (run.withNms ? [run, { ...run, ...run.withNms, recipe: `${run.recipe}, with NMS` }] : [run])); // biome-ignore format: one line
  const recipes = [...new Set(all.map(({ recipe }) => recipe))];
  const rows = recipes.map((recipe) => {
    const runs = all.filter((run) => run.recipe === recipe);
    const score = (of: (run: RunResult) => number) => meanAndDeviation(runs.map(of));
    const named = <T extends { name: string }>(list: readonly T[], name: string) =>
      list.find((one) => one.name === name);
    return [
      ...[recipe, String(runs.length), score(({ ap }) => ap), score(({ ap50 }) => ap50)],
      ...(has75 ? [score(({ ap75 }) => ap75 ?? Number.NaN)] : []),
      ...classes.map((name) => {
        const of = (key: 'ap' | 'ap50') => mean(runs.map((run) => named(run.classes, name)?.[key] ?? 0));
        return `${decimal(of('ap'))}, ${decimal(of('ap50'))}`;
      }),
      ...sizes.map((name) => score((run) => named(run.sizes, name)?.ap50 ?? 0)),
      ...[String(runs[0]!.images), mean(runs.map((run) => run.imagesPerSecond)).toFixed(1)],
      mean(runs.map((run) => run.minutes)).toFixed(1),
    ];
  });
  return [heading, heading.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function meanAndDeviation(values: readonly number[]): string {
  return values.length < 2 ? decimal(mean(values)) : `${decimal(mean(values))} ± ${decimal(deviation(values))}`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of a sample (n - 1). */
function deviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/** Three decimals, without the zero before the point. */
function decimal(value: number): string {
  return value.toFixed(3).replace(/^(-?)0\./, '$1.');
}
