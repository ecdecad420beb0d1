import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { type OptionTable, resolve } from '../../lib/base/option.ts';
import { createProgram } from '../../lib/cli/program.ts';
import { createTable } from '../../lib/detector/detector-options.ts';
import { evaluatorTable } from '../../lib/evaluation/evaluator-options.ts';
import { resolveRun } from '../../lib/training/resolve-options.ts';
import { trainerTable } from '../../lib/training/trainer-options.ts';
import { golden } from '../support/shared.ts';

/** Every flag of every command of version 0.1.0 at b318340. */
const earlier: Record<string, string[]> = await golden('compat/flags.json');

/** A value that each of the flags takes. */
const values: Record<string, string> = {
  '--imgsz': '64 64',
  '--preset': 'best',
  '--model-name': 'dinov3_convnext_tiny',
  '--fusion': 'fpn',
  '--head': 'retinanet',
  '--classification-loss': 'focal',
  '--box-loss': 'giou',
  '--assigner': 'atss',
  '--nms': 'diou',
  '--device': 'cuda:1',
  '--precision': 'bf16',
  '--schedule': 'cosine',
  '--optimizer': 'AdamW',
  '--split': 'test',
  '--format': 'pth',
  '--part': 'backbone',
  '--platform': 'win32',
  '--arch': 'x64',
  '--variant': 'cpu',
};

/** The arguments of a line with that flag, and nothing else but what the command cannot do without. */
function lineOf(command: Command, flags: string): string[] {
  const [, flag] = /(--[\w-]+)(?: [<[].*)?$/.exec(flags)!;
  const value = values[flag!] ?? (/number|rate|decay|share|score/.test(flags) ? '0.5' : '3');
  const required = command.options.filter(({ mandatory, long }) => mandatory && long !== flag);
  const inputs = command.registeredArguments.length > 0 ? ['a.jpg'] : [];
  const format = required.flatMap(({ long }) => [long!, long === '--format' ? 'pth' : 'x']);
  return [...inputs, ...format, flag!, ...(/[<[]/.test(flags) ? value.split(' ') : [])];
}

describe.each(Object.entries(earlier).filter(([, all]) => all.length > 0))('the earlier flags of %s', (name, all) => {
  it.each(all)('%s', async (flags) => {
    const program = createProgram().configureOutput({ writeErr: () => {} });
    const command = program.commands.find((each) => each.name() === name)!;
    command.configureOutput({ writeErr: () => {} }).action(() => {});
    await program.parseAsync([name, ...lineOf(command, flags)], { from: 'user' });
  });
});

it('an unknown flag is not among them', async () => {
  const program = createProgram();
  for (const command of program.commands) command.configureOutput({ writeErr: () => {} });
  await expect(program.parseAsync(['summary', '--config', 'x', '--fuse', 'fpn'], { from: 'user' })).rejects.toThrow();
});

describe('the earlier names of options', () => {
  const without = (table: OptionTable, ...names: string[]) =>
    Object.fromEntries(Object.entries(table).filter(([name]) => !names.includes(name)));

  it('are taken: workers', () => {
    expect(resolveRun({ workers: 5 }, { preset: 'article' })).toMatchObject({ decodeConcurrency: 5 });
    expect(resolve(evaluatorTable, { workers: 5 })).toEqual({ batchSize: 8, decodeConcurrency: 5 });
    expect(() => resolve(evaluatorTable, { workers: 5, decodeConcurrency: 4 })).toThrow(
      'workers is an earlier name of decodeConcurrency. Give decodeConcurrency alone',
    );
    expect(() => resolve(evaluatorTable, { workers: 0 })).toThrow('integer from 1 to 256 for workers');
  });

  it('are taken: the preset best, and loss and assigner of create', () => {
    const given = { preset: 'best', loss: { box: 'giou', backgroundNegatives: true }, assigner: 'atss' };
    expect(resolve(without(createTable, 'classes'), given)).toMatchObject({ ...given, preset: 'ssd' });
  });

  it('are all there', () => {
    const trainer =
      'train valid outDir epochs batchSize learningRate schedule warmupSteps milestones gamma flatFraction finalLearningRateFactor ' +
      'optimizer weightDecay decayWeightsOnly fineTune backboneLearningRateFactor layerDecay accumulate ema dropPath patience ' +
      'flipProbability augmentation clipGradNorm workers overlapEvaluation seed resume';
    const create =
      'classes preset backbone imageSize features fusion head defaultBoxes loss assigner nms weights seed trustTorchScript device ' +
      'precision threads';
    const namesOf = (table: OptionTable) =>
      Object.entries(table).flatMap(([name, { aliases = [] }]) => [name, ...aliases]);
    expect(namesOf(trainerTable)).toEqual(expect.arrayContaining(trainer.split(' ')));
    expect(namesOf(createTable)).toEqual(expect.arrayContaining(create.split(' ')));
  });
});
