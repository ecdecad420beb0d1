import type { Command, Option } from 'commander';

/** A flag and its value: none, one of `values`, or anything else, for example a file. */
export interface FlagWords {
  flag: string;
  help: string;
  takesValue: boolean;
  values: readonly string[];
}

/** A command and its flags. */
export interface CommandWords {
  name: string;
  help: string;
  flags: FlagWords[];
}

const names = new WeakMap<Option, readonly string[]>();

/** Keeps the names that the value of a flag is one of; the parser itself takes others too, of earlier versions. */
export function keepNames(option: Option, values: readonly string[]): void {
  names.set(option, values);
}

/** The words of a command line, as `--help` shows them. */
export function commandWords(program: Command): CommandWords[] {
  const help = program.createHelp();
  return help.visibleCommands(program).map((command) => ({
    name: command.name(),
    help: command.description(),
    flags: help.visibleOptions(command).flatMap(wordsOf),
  }));
}

function wordsOf(option: Option): FlagWords[] {
  if (option.long === undefined || option.long === null) return [];
  const values = option.argChoices ?? names.get(option) ?? [];
  return [{ flag: option.long, help: option.description, takesValue: option.required || option.optional, values }];
}
