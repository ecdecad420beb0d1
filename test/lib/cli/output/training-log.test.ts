import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { describeEpoch, describeWeights, jsonLog, textLog } from '../../../../lib/cli/output/training-log.ts';
import type { EpochEvent, StepEvent } from '../../../../lib/training/training-events.ts';

const epochEvent = {
  epoch: 1,
  epochs: 20,
  trainLoss: 9.0709,
  map: 0.04982885,
  map50: 0.15065,
  seconds: 603.66,
  best: true,
  bestScore: 0.04982885,
  bestEpoch: 1,
  learningRate: 1e-4,
  nextLearningRate: 1e-4 * 0.1,
} as EpochEvent;

const stepEvent = { epoch: 1, epochs: 20, step: 1, steps: 1, loss: 0.47771 } as StepEvent;

let printed: string[];
beforeEach(() => {
  printed = [];
  vi.spyOn(console, 'log').mockImplementation((text) => void printed.push(text));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => Boolean(printed.push(`stderr ${text}`)));
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe('describeEpoch', () => {
  it('prints what the article prints for a new best epoch', () => {
    expect(describeEpoch(epochEvent)).toBe(`Epoch #1 train loss: 9.071
Epoch #1 mAP@0.50:0.95: 0.0498
Epoch #1 mAP@0.50: 0.1507
Took 10.061 minutes for epoch 0

BEST VALIDATION mAP: 0.0498

SAVING BEST MODEL FOR EPOCH: 1

SAVING PLOTS COMPLETE...
LR for next epoch: [1e-05]`);
  });

  it('leaves the best model out of any other epoch', () => {
    const text = describeEpoch({ ...epochEvent, epoch: 18, best: false });
    expect(text).toContain('Took 10.061 minutes for epoch 17\nSAVING PLOTS COMPLETE...');
    expect(text).not.toContain('BEST');
  });
});

describe('describeWeights', () => {
  const report = { source: 'timm', loaded: 180, head: false, missing: [], unexpected: [], wrongShape: [] };

  it('says what came from where', () => {
    expect(describeWeights(report)).toBe('Weights of timm: 180 tensors loaded (backbone)');
    expect(describeWeights({ ...report, head: true, loaded: 204 })).toBe(
      'Weights of timm: 204 tensors loaded (backbone and head)',
    );
  });

  it('says what did not fit', () => {
    const wrongShape = [{ name: 'head.a', found: [84, 3], expected: [8, 3] }];
    expect(describeWeights({ ...report, unexpected: ['a', 'b', 'c', 'd', 'e', 'f'], wrongShape })).toBe(
      'Weights of timm: 180 tensors loaded (backbone); 1 of another shape: head.a (84x3, not 8x3); 6 not needed: a, b, c, d, e, ...',
    );
    expect(describeWeights({ ...report, missing: ['head.a'] })).toContain('; 1 missing: head.a');
  });
});

describe('textLog', () => {
  it('announces each epoch and each evaluation once, with the loss in the progress', async () => {
    const log = textLog();
    log.hooks.onStep({ ...stepEvent, steps: 2 });
    log.hooks.onStep({ ...stepEvent, step: 2, steps: 2 });
    log.hooks.onEvaluate({ epoch: 1, done: 4, total: 8 });
    log.hooks.onEvaluate({ epoch: 1, done: 8, total: 8 });
    await log.hooks.onEpoch(epochEvent);
    log.hooks.onStep({ ...stepEvent, epoch: 2 });
    log.stop();
    expect(printed).toEqual([
      '\nEPOCH 1 of 20\nTraining',
      'stderr Training: 50% 1/2 step Loss: 0.4777\n',
      'stderr Training: 100% 2/2 step Loss: 0.4777\n',
      'Validating',
      'stderr Validating: 50% 4/8 image\n',
      'stderr Validating: 100% 8/8 image\n',
      describeEpoch(epochEvent),
      '\nEPOCH 2 of 20\nTraining',
      'stderr Training: 100% 1/1 step Loss: 0.4777\n',
    ]);
  });

  it('shows the training that an epoch is evaluated beside, and the evaluation while that waits for it', async () => {
    const log = textLog();
    const step = (epoch: number, step: number) => log.hooks.onStep({ ...stepEvent, epoch, step, steps: 2 });
    step(1, 2);
    log.hooks.onEvaluate({ epoch: 1, done: 2, total: 8 });
    step(2, 1);
    log.hooks.onEvaluate({ epoch: 1, done: 4, total: 8 });
    await log.hooks.onEpoch(epochEvent);
    step(2, 2);
    step(3, 1);
    log.hooks.onEvaluate({ epoch: 2, done: 4, total: 8 });
    step(3, 2);
    log.hooks.onEvaluate({ epoch: 2, done: 8, total: 8 });
    log.stop();
    expect(printed).toEqual([
      '\nEPOCH 1 of 20\nTraining',
      'stderr Training: 100% 2/2 step Loss: 0.4777\n',
      'Validating',
      'stderr Validating: 25% 2/8 image\n',
      '\nEPOCH 2 of 20\nTraining',
      'stderr Training: 50% 1/2 step Loss: 0.4777\n',
      describeEpoch(epochEvent),
      'stderr Training: 100% 2/2 step Loss: 0.4777\n',
      '\nEPOCH 3 of 20\nTraining',
      'stderr Training: 50% 1/2 step Loss: 0.4777\n',
      'stderr Training: 100% 2/2 step Loss: 0.4777\n',
      'Validating',
      'stderr Validating: 100% 8/8 image\n',
    ]);
  });

  it('says where the results are, and when there was nothing left to do', () => {
    const result = { epochs: 20, bestEpoch: 17, bestScore: 0.348018, outDir: 'runs/a', seconds: 12000 };
    textLog().end(result);
    expect(printed[0]).toContain('All 20 epochs were complete: best mAP@0.50:0.95 0.3480 at epoch 17');
    expect(printed[0]).toContain('dinov3-det detect --checkpoint runs/a/best');
    textLog().end({ ...result, stoppedEarly: true });
    expect(printed[1]).toContain(
      'STOPPED EARLY after 20 epochs, 3 of them without a better score: best mAP@0.50:0.95 0.3480',
    );
  });
});

describe('jsonLog', () => {
  it('prints one object a line', async () => {
    const log = jsonLog();
    log.hooks.onStep(stepEvent);
    log.hooks.onEvaluate({ epoch: 1, done: 8, total: 8 });
    await log.hooks.onEpoch(epochEvent);
    expect(printed.map((line) => JSON.parse(line))).toEqual([
      { event: 'step', ...stepEvent },
      { event: 'epoch', ...epochEvent },
    ]);
  });
});
