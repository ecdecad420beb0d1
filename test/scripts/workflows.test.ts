import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { manifest } from '../support/tarball.ts';

interface Step {
  run?: string;
  uses?: string;
}
interface Job {
  'runs-on': string;
  needs?: string | string[];
  strategy?: { matrix: { include: Record<string, string>[] } };
  steps: Step[];
}

const root = new URL('../../.github/workflows/', import.meta.url);
const files = await readdir(root);
const jobsOf = async (file: string): Promise<Record<string, Job>> =>
  parse(await readFile(new URL(file, root), 'utf8'), { strict: true }).jobs;
const platforms = ['darwin-arm64', 'linux-arm64', 'linux-x64', 'win32-x64'];
const platformsOf = ({ strategy }: Job) =>
  [...new Set(strategy?.matrix.include.map(({ platform }) => platform))].sort();

it('there are those that are described', () => {
  expect(files.sort()).toEqual(['ci.yml', 'release.yml']);
});

describe.each(files)('%s', (file) => {
  it('runs npm scripts that there are, and actions of a named version', async () => {
    const steps = Object.values(await jobsOf(file)).flatMap(({ steps }) => steps);
    expect(steps.length).toBeGreaterThan(2);
    for (const { run, uses } of steps) {
      if (uses) expect(uses).toMatch(/^actions\/[\w-]+@v\d+$/);
      else {
        const [, script] = /^npm (?:run )?([\w:-]+)/.exec(run!) ?? [];
        expect(script === 'publish' || script! in manifest.scripts, run).toBe(true);
      }
    }
  });

  it('needs jobs that there are, and gives every value that it asks of a matrix', async () => {
    const jobs = await jobsOf(file);
    for (const job of Object.values(jobs)) {
      for (const name of [job.needs ?? []].flat()) expect(jobs).toHaveProperty(name);
      for (const [, key] of JSON.stringify(job).matchAll(/matrix\.(\w+)/g)) {
        expect(job.strategy!.matrix.include.some((row) => key! in row)).toBe(true);
      }
    }
  });
});

it('a release tests, prebuilds and tries the package on the four platforms, and publishes last', async () => {
  const jobs = await jobsOf('release.yml');
  for (const name of ['test', 'prebuild', 'smoke']) expect(platformsOf(jobs[name]!), name).toEqual(platforms);
  expect(Object.entries(jobs).map(([name, { needs }]) => [name, needs])).toEqual([
    ['test', undefined],
    ['prebuild', undefined],
    ['pack', ['test', 'prebuild']],
    ['smoke', 'pack'],
    ['publish', 'smoke'],
  ]);
  expect(jobs.publish!.steps.at(-1)!.run).toMatch(/^npm publish --provenance /);
});

it('every pushed change is tested on the four platforms', async () => {
  expect(platformsOf((await jobsOf('ci.yml')).test!)).toEqual(platforms);
});

it('the scripts of package.json are files that there are', () => {
  for (const command of Object.values<string>(manifest.scripts)) {
    for (const [path] of command.matchAll(/scripts\/[\w-]+\.mjs/g)) {
      expect(existsSync(fileURLToPath(new URL(`../../${path}`, import.meta.url))), path).toBe(true);
    }
  }
});
