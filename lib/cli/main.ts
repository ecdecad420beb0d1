#!/usr/bin/env node
import { runProgram } from './program.ts';

// The reader went away, as in `dinov3-det train --json | head`: nobody is left to write for.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(1);
});

process.exitCode = await runProgram(process.argv.slice(2));
