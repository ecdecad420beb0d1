#!/usr/bin/env node
import { runProgram } from './program.ts';

// The reader is gone, for example after `dinov3-det train --json | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(1);
});

process.exitCode = await runProgram(process.argv.slice(2));
