import { Argument, Command } from 'commander';
import { commandWords } from '../completion/command-words.ts';
import { type Shell, shells } from '../completion/scripts.ts';

const examples = `
Examples:
  dinov3-det completion bash >> ~/.bashrc
  dinov3-det completion zsh >> ~/.zshrc
  dinov3-det completion fish > ~/.config/fish/completions/dinov3-det.fish
  dinov3-det completion powershell >> $PROFILE
It takes effect in the next shell. In zsh, compinit has to come first.`;

/** `dinov3-det completion`: a script with which a shell completes commands, flags and names of values. */
export function completionCommand(): Command {
  return new Command('completion')
    .description('print a script that makes a shell complete this command line')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(shells)))
    .addHelpText('after', examples)
    .action((shell: Shell, _, command: Command) => {
      process.stdout.write(shells[shell](commandWords(command.parent!)));
    });
}
