#!/usr/bin/env node
import { endOnSignals } from './interruption.ts';

endOnSignals(); // before the rest is loaded, which takes a moment

// The reader went away, as in `dinov3-det train --json | head`, or the terminal: nobody is left to write for.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EIO') return; // the terminal was closed: SIGHUP says so, and the work is saved
  if (error.code !== 'EPIPE') throw error;
  process.exit(1);
});
process.stderr.on('error', () => {});

const { runProgram } = await import('./program.ts');
process.exitCode = await runProgram(process.argv.slice(2));
