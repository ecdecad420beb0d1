import { messageOf } from '../../base/errors.ts';
import { measure, type Task } from './contestant.ts';

/** The program of a process that measures one contestant. */
process.once('message', async (task) => {
  const answer = await measure(task as Task).then(
    (value) => ({ value }),
    (error: unknown) => ({ error: messageOf(error) }),
  );
  process.send!(answer, () => process.exit(0));
});
