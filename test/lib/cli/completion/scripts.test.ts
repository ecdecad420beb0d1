import { execFileSync, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandWords } from '../../../../lib/cli/completion/command-words.ts';
import { type Shell, shells } from '../../../../lib/cli/completion/scripts.ts';
import { createProgram } from '../../../../lib/cli/program.ts';
import { temporaryFolder } from '../../../support/voc.ts';

const commands = commandWords(createProgram());

const isMissing = (program: string) => spawnSync(program, ['--version']).error !== undefined;

async function scriptOf(shell: Shell): Promise<string> {
  const path = join(await temporaryFolder(), 'completion');
  await writeFile(path, shells[shell](commands));
  return path;
}

/** What bash proposes for the last word of a line. */
async function bash(...words: string[]): Promise<string[]> {
  const line = words.map((word) => `'${word}'`).join(' ');
  const script = `source ${await scriptOf('bash')}
    COMP_WORDS=(dinov3-det ${line}); COMP_CWORD=${words.length}
    _dinov3_det; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).split('\n').filter(Boolean);
}

/** The same of fish, which has descriptions behind a tab. */
async function fish(line: string): Promise<string[]> {
  const script = `source ${await scriptOf('fish')}; complete -C '${line}'`;
  const env = { ...process.env, HOME: await temporaryFolder() };
  const out = execFileSync('fish', ['--no-config', '-c', script], { encoding: 'utf8', env });
  return out
    .split('\n')
    .filter(Boolean)
    .map((proposal) => proposal.split('\t')[0]!);
}

/** What zsh is asked to propose, in place of its own functions. */
async function zsh(...words: string[]): Promise<string> {
  const script = `compdef() { :; }; _arguments() { print -l -- "$@"; }; _describe() { print -l -- $commands; }
    words=(dinov3-det ${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length + 1}
    source ${await scriptOf('zsh')}; _dinov3_det`;
  return execFileSync('zsh', ['-f', '-c', script], { encoding: 'utf8' });
}

describe.skipIf(isMissing('bash'))('in bash (skipped without it)', () => {
  it.each([
    [['tr'], ['train']],
    [
      ['train', '--preset', ''],
      ['ssd', 'article', 'dense'],
    ],
    [['train', '--image', '--preset', 'd'], ['dense']],
    [['train', '--epo'], ['--epochs']],
    [['train', ''], []],
    [['nothing', '--e'], []],
  ])('%j is completed to %j', async (words, proposals) => {
    expect((await bash(...words)).sort()).toEqual([...proposals].sort());
  });

  it('every command is proposed', async () => {
    expect(await bash('')).toEqual(expect.arrayContaining(createProgram().commands.map((command) => command.name())));
  });
});

describe.skipIf(isMissing('fish'))('in fish (skipped without it)', () => {
  it.each([
    ['dinov3-det tr', ['train']],
    ['dinov3-det train --preset ', ['ssd', 'article', 'dense']],
    ['dinov3-det train --epo', ['--epochs']],
  ])('%s is completed to %j', async (line, proposals) => {
    expect((await fish(line)).sort()).toEqual([...proposals].sort());
  });
});

describe.skipIf(isMissing('zsh'))('in zsh (skipped without it)', () => {
  it('commands, flags, values and files are proposed', async () => {
    expect(await zsh('tr')).toMatch(/^train:/m);
    const flags = await zsh('train', '--pr');
    expect(flags).toMatch(/^\*--preset\[.*\]:value:\((ssd|article|dense) /m);
    expect(flags).toMatch(/^\*--settings\[.*\]:value:_files$/m);
  });
});

describe('for PowerShell', () => {
  it('the script has every flag and value, quoted', () => {
    const script = shells.powershell(commands);
    expect(script).toContain("'train --preset' = @('");
    for (const { name, flags } of commands) {
      for (const { flag } of flags) expect(script, name).toContain(`'${flag}'`);
    }
  });
});
