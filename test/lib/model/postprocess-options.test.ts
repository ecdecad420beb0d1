import { expect, it } from 'vitest';
import { noticeOfCut } from '../../../lib/model/postprocess-options.ts';

it.each([
  [400, {}, undefined],
  [
    401,
    {},
    'an image has at most 400: the model lets the best 200 boxes of each class into NMS (topkCandidates), and has 2',
  ],
  [600, { topkPer: 'map' as const }, undefined],
  [601, { topkPer: 'map' as const }, 'Ask for at most 600'],
])('%d detections of %o', (maxDetections, options, message) => {
  const notice = noticeOfCut(maxDetections, { topkCandidates: 200, ...options }, { classes: 2, maps: 3 });
  if (message === undefined) expect(notice).toBeUndefined();
  else expect(notice).toContain(message);
});
