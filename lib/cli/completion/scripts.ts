import type { CommandWords, FlagWords } from './command-words.ts';

const NAME = 'dinov3-det';

/** The shells, and what writes the script that each of them reads at its start. */
export const shells = { bash, zsh, fish, powershell } as const;
export type Shell = keyof typeof shells;

function bash(commands: readonly CommandWords[]): string {
  const chosen = commands.flatMap(({ name, flags }) =>
    flags
      .filter(({ values }) => values.length > 0)
      .map(({ flag, values }) => `    '${name} ${flag}') words='${values.join(' ')}' ;;`),
  );
  const flagsOf = commands.map(
    ({ name, flags }) => `      ${name}) words='${flags.map(({ flag }) => flag).join(' ')}' ;;`,
  );
  return `_dinov3_det() {
  local word=\${COMP_WORDS[COMP_CWORD]} words=''
  case "\${COMP_WORDS[1]} \${COMP_WORDS[COMP_CWORD-1]}" in
${chosen.join('\n')}
  esac
  if ((COMP_CWORD == 1)); then
    words='${commands.map(({ name }) => name).join(' ')}'
  elif [[ -z $words && $word == -* ]]; then
    case \${COMP_WORDS[1]} in
${flagsOf.join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o bashdefault -o default -F _dinov3_det ${NAME}
`;
}

function zsh(commands: readonly CommandWords[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const plain = (text: string) => text.replaceAll(/[[\]:]/g, '\\$&');
  const spec = ({ flag, help, takesValue, values }: FlagWords) => {
    const value = values.length > 0 ? `:value:(${values.join(' ')})` : ':value:_files';
    return quote(`*${flag}[${plain(help)}]${takesValue ? value : ''}`);
  };
  const described = commands.map(({ name, help }) => `      ${quote(`${name}:${plain(help)}`)}`);
  const cases = commands.map(
    ({ name, flags }) =>
      `    ${name})\n      _arguments ${[...flags.map(spec), quote('*:file:_files')].join(' \\\n        ')} ;;`,
  );
  return `#compdef ${NAME}
_dinov3_det() {
  if ((CURRENT == 2)); then
    local -a commands=(
${described.join('\n')}
    )
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${cases.join('\n')}
  esac
}
compdef _dinov3_det ${NAME}
`;
}

function fish(commands: readonly CommandWords[]): string {
  const quote = (text: string) => `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
  const value = ({ takesValue, values }: FlagWords) => {
    if (values.length > 0) return ` -x -a ${quote(values.join(' '))}`;
    return takesValue ? ' -r' : '';
  };
  const lines = commands.flatMap(({ name, help, flags }) => [
    `complete -c ${NAME} -n __fish_use_subcommand -f -a ${name} -d ${quote(help)}`,
    ...flags.map(
      (flag) =>
        `complete -c ${NAME} -n '__fish_seen_subcommand_from ${name}' -l ${flag.flag.slice(2)}${value(flag)} -d ${quote(flag.help)}`,
    ),
  ]);
  return `${lines.join('\n')}\n`;
}

function powershell(commands: readonly CommandWords[]): string {
  const list = (words: readonly string[]) => `@(${words.map((word) => `'${word}'`).join(', ')})`;
  const entries = commands.flatMap(({ name, flags }) => [
    `  '${name}' = ${list(flags.map(({ flag }) => flag))}`,
    ...flags
      .filter(({ values }) => values.length > 0)
      .map(({ flag, values }) => `  '${name} ${flag}' = ${list(values)}`),
  ]);
  return `$dinov3DetWords = @{
  '' = ${list(commands.map(({ name }) => name))}
${entries.join('\n')}
}
Register-ArgumentCompleter -Native -CommandName ${NAME} -ScriptBlock {
  param($word, $tree, $cursor)
  $before = @($tree.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { "$_" })
  $command = if ($before.Count -gt 1) { $before[1] } else { '' }
  $words = $dinov3DetWords["$command $($before[-1])"]
  if (-not $words -and ($command -eq '' -or $word -like '-*')) { $words = $dinov3DetWords[$command] }
  $words | Where-Object { $_ -like "$word*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`;
}
