import type { Help } from 'commander';

/** The width of terms. Wider terms stand on their own line. */
const TERM_WIDTH = 26;

/** The layout of `--help`. */
export const helpLayout = {
  padWidth(this: Help, ...[command, helper]: Parameters<Help['padWidth']>): number {
    const widths = [
      helper.visibleOptions(command).map((option) => helper.optionTerm(option)),
      helper.visibleCommands(command).map((each) => helper.subcommandTerm(each)),
      helper.visibleArguments(command).map((each) => helper.argumentTerm(each)),
    ]
      .flat()
      .map(({ length }) => length)
      .filter((width) => width <= TERM_WIDTH);
    return Math.max(0, ...widths);
  },
  formatItem(this: Help, ...[term, termWidth, description, helper]: Parameters<Help['formatItem']>): string {
    const [indent, gap] = ['  ', '  '];
    const column = indent.length + termWidth + gap.length;
    const text = helper
      .boxWrap(description, Math.max(40, (helper.helpWidth ?? 80) - column))
      .replaceAll('\n', `\n${' '.repeat(column)}`);
    if (description === '') return indent + term;
    const first = term.length > termWidth ? `${term}\n${' '.repeat(column)}` : term.padEnd(termWidth) + gap;
    return `${indent}${first}${text}`;
  },
};
