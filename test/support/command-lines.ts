import { createProgram } from '../../lib/cli/program.ts';

/** The arguments of the commands in a text: lines joined, redirections, remarks and quotes taken off. */
export function commandLines(text: string, start: RegExp): string[][] {
  const lines = text.replaceAll(/ *\\\n +/g, ' ').split('\n');
  return lines
    .filter((line) => start.test(line))
    .map((line) => line.replace(start, '').replace(/( {2,}| #| >).*$/, ''))
    .map((line) => line.split(' ').filter((word) => word !== ''));
}

/** Parses a command line as the program does, and does nothing. */
export async function parse(args: string[]): Promise<void> {
  const program = createProgram().configureOutput({ writeErr: () => {} });
  for (const command of program.commands) command.configureOutput({ writeErr: () => {} }).action(() => {});
  await program.parseAsync(args, { from: 'user' });
}
