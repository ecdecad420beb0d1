import { Command } from 'commander';

import { doctor, formatReport } from '../../libtorch/doctor.ts';

const examples = `
Examples:
  dinov3-det doctor            what is there, what is missing, and what to do about it
  dinov3-det doctor --json     the same for programs
Exits with 1 when something that is needed is missing.`;

/** `dinov3-det doctor`: checks everything that running and building need. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check that everything needed is installed and fits together')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', examples)
    .action(async ({ json }: { json?: true }) => {
      const report = await doctor();
      console.log(json ? JSON.stringify(report, null, 2) : formatReport(report));
      process.exitCode = report.ok ? 0 : 1;
    });
}
