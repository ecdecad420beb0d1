import { hostOn, type launchers } from './services.ts';

/** What exit.test.ts runs in processes of its own: a host that nobody disposes of. */
const [kind, task, checkpoint, image] = process.argv.slice(2) as [keyof typeof launchers, string, string, string];

const { host } = hostOn(kind);
const detector = await host.load(checkpoint, { threads: 1 });
const found = await detector.detect(image, { scoreThreshold: 0 });
console.log(`found ${found.length > 0}`);
if (task !== 'idle') {
  const calls = Array.from({ length: 20 }, () => detector.detect(image, { scoreThreshold: 0 }));
  for (const call of calls) call.catch(() => {});
  if (task === 'exit') process.exit(7);
  if (task === 'die') process.kill(process.pid, 'SIGKILL');
  if (task === 'throw') throw new Error('on purpose');
  if (task === 'dispose') await host.dispose();
}
