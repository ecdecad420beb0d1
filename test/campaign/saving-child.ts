// Saves checkpoints without end into a directory, with the saver that is named: somebody kills it.
import { careless, whole } from './savers.ts';

const [dir, saver] = process.argv.slice(2) as [string, string];
const save = saver === 'careless' ? careless : whole;
for (let number = 1; ; number++) {
  await save(dir, number);
  process.send?.(number);
}
