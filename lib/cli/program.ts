import { Command, CommanderError } from 'commander';
import { messageOf } from '../base/errors.ts';
import { version } from '../base/version.ts';
import { analyzeCommand } from './commands/analyze.ts';
import { benchmarkCommand } from './commands/benchmark.ts';
import { buildCommand } from './commands/build.ts';
import { bundleCommand } from './commands/bundle.ts';
import { completionCommand } from './commands/completion.ts';
import { convertCommand } from './commands/convert.ts';
import { demoCommand } from './commands/demo.ts';
import { detectCommand } from './commands/detect.ts';
import { doctorCommand } from './commands/doctor.ts';
import { evaluateCommand } from './commands/evaluate.ts';
import { exportCommand } from './commands/export.ts';
import { installCommand } from './commands/install.ts';
import { previewCommand } from './commands/preview.ts';
import { summaryCommand } from './commands/summary.ts';
import { trainCommand } from './commands/train.ts';
import { videoCommand } from './commands/video.ts';
import { Interrupted } from './interruption.ts';
import { helpLayout } from './output/help.ts';
import { UsageError } from './usage-error.ts';

const examples = `
Examples:
  dinov3-det install
  dinov3-det demo
  dinov3-det analyze --config configs/voc.yaml --output runs/analysis
  dinov3-det train --config configs/voc.yaml --epochs 20
  dinov3-det evaluate --checkpoint runs/train/best --config configs/voc.yaml
  dinov3-det detect --checkpoint runs/train/best photo.jpg
  dinov3-det video --checkpoint runs/train/best --input in.mp4 --output out.mp4
  dinov3-det export --checkpoint runs/train/best --format pth --out best_model.pth
Exit codes: 0 done, 1 failed, 2 wrong command line, 130 ended by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP. With DEBUG=1 an error
shows its code, which docs/troubleshooting.md explains, and where it came from.`;

/** Creates the command line, before parsing. */
export function createProgram(): Command {
  const program = new Command('dinov3-det')
    .description('Train and run DINOv3 object detectors in Node.js, without Python')
    .version(version, '--version', 'print the version')
    .addHelpText('after', examples)
    .showHelpAfterError('(--help lists commands and options)')
    .configureHelp(helpLayout)
    .exitOverride();
  const commands = [
    trainCommand,
    evaluateCommand,
    detectCommand,
    videoCommand,
    exportCommand,
    benchmarkCommand,
    previewCommand,
    analyzeCommand,
    convertCommand,
    summaryCommand,
    demoCommand,
    doctorCommand,
    installCommand,
    buildCommand,
    bundleCommand,
    completionCommand,
  ];
  for (const create of commands) program.addCommand(create().copyInheritedSettings(program));
  return program;
}

/** Runs a command line. Resolves with the exit code, after one clear message if it fails. */
export async function runProgram(args: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    // The parser has printed its own message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof Interrupted) {
      console.error(error.message);
      return error.exitCode;
    }
    console.error(process.env.DEBUG ? error : `Error: ${messageOf(error)}`);
    return error instanceof UsageError ? 2 : 1;
  }
}
