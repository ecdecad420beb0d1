// The page docs/command-line.md: the help of every command, as the command line prints it.
import { tsImport } from 'tsx/esm/api';

const introduction = `# Command line

After this page you can look up every command and every flag. \`npx dinov3-det COMMAND --help\` prints the same text.

- [Deployment](deployment.md), [training](training.md) and [models](models.md) explain when to use which option.
- [Troubleshooting](troubleshooting.md#exit-codes) explains the exit codes.
- [Installation](install.md#environment-variables) lists the environment variables.

\`npm run docs\` writes this page from the help of the commands.
`;

/** The text of the page. */
export async function commandLinePage() {
  const { createProgram } = await tsImport('../lib/cli/program.ts', import.meta.url);
  const program = createProgram();
  const { commands } = program;
  const contents = commands.map((command) => `- [\`${command.name()}\`](#${command.name()}): ${command.description()}`);
  const sections = [
    ['All commands', helpOf(program)],
    ...commands.map((command) => [`\`${command.name()}\``, helpOf(command)]),
  ].map(([title, help]) => `## ${title}\n\n\`\`\`text\n${help}\n\`\`\``);
  return `${[introduction.trimEnd(), contents.join('\n'), ...sections].join('\n\n')}\n`;
}

/** What `--help` prints, for a terminal of 100 columns without colours. */
function helpOf(command) {
  const lines = [];
  command.configureOutput({
    writeOut: (text) => lines.push(text),
    getOutHelpWidth: () => 100,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return lines.join('').trim();
}
