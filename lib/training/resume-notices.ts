import type { SavedRun } from './saved-run.ts';
import type { KeptOptions, RunState } from './training-state.ts';

/** How a run goes on. */
type Now = Pick<RunState, 'options' | 'compute'> & Partial<Pick<RunState, 'versions'>>;

/** What differs in a run that goes on from what it was, in sentences for `onWarning`: nothing where it goes on as it was. */
export function resumeNotices(saved: SavedRun, now: Now): string[] {
  return [
    ...missingSettings(saved, now),
    ...otherEnd(saved, now),
    ...otherHardware(saved, now),
    ...otherVersions(saved, now),
  ];
}

/** Checkpoints of earlier versions do not keep all settings, and their defaults may be others than the run had. */
function missingSettings({ path, state }: SavedRun, { options, compute }: Now): string[] {
  if (state.compute) return [];
  const { epochs, patience } = options;
  const settings = [
    `epochs ${epochs}`,
    patience === undefined ? 'no patience' : `patience ${patience}`,
    ...Object.entries(compute).map(([name, value]) => `${name} ${value}`),
  ];
  return [
    `${path} is of an earlier version, which did not keep all settings of a run. It goes on with ${settings.join(', ')}. ` +
      'Give those that were others',
  ];
}

function otherEnd({ state }: SavedRun, { options }: Now): string[] {
  return (['epochs', 'patience'] as const)
    .filter((key) => state.compute && state.options[key] !== options[key])
    .map((key) => `${key} was ${state.options[key] ?? 'not set'} and is now ${options[key]}${bends(key, options)}`);
}

/** What depends on the number of epochs. */
function bends(key: 'epochs' | 'patience', { schedule = 'multistep', augmentation }: KeptOptions): string {
  if (key === 'patience') return '';
  const parts = [
    ...(schedule === 'multistep' ? [] : [`the learning rate (the schedule ${schedule} spans all epochs)`]),
    ...(augmentation?.offForLast ? ['which epochs are trained without augmentation'] : []),
  ];
  return parts.length === 0 ? '' : `. This changes ${parts.join(' and ')}; leave epochs out to go on as before`;
}

function otherHardware({ state }: SavedRun, { compute }: Now): string[] {
  return (['device', 'threads'] as const)
    .filter((key) => state.compute?.[key] !== undefined && compute[key] !== undefined)
    .filter((key) => state.compute![key] !== compute[key])
    .map(
      (key) =>
        `The run computed with ${key} ${state.compute![key]} and goes on with ${compute[key]}: sums are rounded in another way. ` +
        'Load the detector with asTrained to go on bit for bit',
    );
}

function otherVersions({ state }: SavedRun, { versions }: Now): string[] {
  const names = { library: 'dinov3-det', libtorch: 'LibTorch' };
  return (['library', 'libtorch'] as const)
    .filter((key) => state.versions && versions && state.versions[key] !== versions[key])
    .map(
      (key) =>
        `The run computed with ${names[key]} ${state.versions![key]} and goes on with ${versions![key]}, whose numbers may be others`,
    );
}
