import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Trial } from './row.ts';
import { argumentRows } from './rows/arguments.ts';
import { checkpointRows } from './rows/checkpoints.ts';

const named = (name: string) => [...checkpointRows, ...argumentRows].find((row) => row.name === name)!;

// A smoke of it: `npm run campaign` has the other rows, which take minutes.
it.each(['io-errors', 'flipped-bits', 'arguments'])(
  'the row %s holds, and sees what is wrong with its control',
  async (name) => {
    const folder = await mkdtemp(join(tmpdir(), 'campaign-'));
    try {
      const row = named(name);
      const trial = (part: string) => new Trial(join(folder, part), 1, 1);
      expect((await row.run(trial('row'))).failures).toEqual([]);
      const wrong = await row.control(trial('control'));
      expect(wrong.failures.length).toBeGreaterThan(0);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);

it('draws the same from the same seed', () => {
  const drawn = (seed: number) => {
    const trial = new Trial('', seed, 0);
    return Array.from({ length: 5 }, () => trial.below(1000));
  };
  expect(drawn(1)).toEqual(drawn(1));
  expect(drawn(1)).not.toEqual(drawn(2));
});
