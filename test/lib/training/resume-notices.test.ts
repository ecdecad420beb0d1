import { describe, expect, it } from 'vitest';
import { resumeNotices } from '../../../lib/training/resume-notices.ts';
import type { SavedRun } from '../../../lib/training/saved-run.ts';
import type { KeptOptions, TrainingState } from '../../../lib/training/training-state.ts';

const cpu = { device: 'cpu', precision: 'fp32', threads: 2 } as const;
const options = { epochs: 7, patience: 3, schedule: 'multistep' } as KeptOptions;
const saved = (state: Partial<TrainingState>) => ({ path: 'run/last', state }) as SavedRun;
const now = { options, compute: cpu };

describe('resumeNotices', () => {
  it('has nothing to say of a run that goes on as it was', () => {
    expect(resumeNotices(saved({ options: structuredClone(options), compute: { ...cpu } }), now)).toEqual([]);
  });

  it('names epochs and patience that are others', () => {
    const before = { options: { ...options, epochs: 5, patience: undefined } as never, compute: cpu };
    expect(resumeNotices(saved(before), now)).toEqual([
      'epochs was 5 and is now 7',
      'patience was not set and is now 3',
    ]);
  });

  it.each([
    ['cosine', { schedule: 'cosine' }, 'the learning rate (the schedule cosine spans all epochs)'],
    ['flat-cosine', { schedule: 'flat-cosine' }, 'the learning rate (the schedule flat-cosine spans all epochs)'],
    ['epochs without augmentation', { augmentation: { offForLast: 0.1 } }, 'which epochs are trained without'],
  ])('says what other epochs bend: %s', (_, more, consequence) => {
    const run = { ...options, ...more } as KeptOptions;
    const [notice, ...rest] = resumeNotices(saved({ options: { ...run, epochs: 5 }, compute: cpu }), {
      options: run,
      compute: cpu,
    });
    expect(rest).toEqual([]);
    expect(notice).toContain('epochs was 5 and is now 7. This changes ');
    expect(notice).toContain(consequence);
    expect(notice).toContain('leave epochs out to go on as before');
  });

  it('names the hardware that is other', () => {
    const gpu = { device: 'cuda', precision: 'fp32' } as const;
    const other = (compute: TrainingState['compute']) => resumeNotices(saved({ options, compute: compute! }), now);
    expect(other({ ...cpu, threads: 8 })).toEqual([
      expect.stringContaining('computed with threads 8 and goes on with 2'),
    ]);
    expect(other(gpu)).toEqual([expect.stringContaining('computed with device cuda and goes on with cpu')]);
  });

  it('says what a checkpoint of an earlier version has not kept, and what is done instead', () => {
    const { epochs: _, patience: __, ...kept } = options;
    const notices = resumeNotices(saved({ options: kept as KeptOptions }), now);
    expect(notices).toEqual([
      'run/last is of an earlier version, which did not keep all settings of a run. It goes on with epochs 7, patience 3, ' +
        'device cpu, precision fp32, threads 2. Give those that were others',
    ]);
  });
});
