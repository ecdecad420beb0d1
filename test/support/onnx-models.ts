import type { DetectorOptions } from '../../lib/detector/detector-options.ts';

export const classes = ['__background__', 'cat', 'a "quoted" one', 'c', 'd', 'e'];

/** One model of each form that is written otherwise than the others. */
export const forms = {
  article: { preset: 'article' },
  pyramid: { preset: 'best' },
  fpn: { preset: 'best', fusion: 'fpn' },
  focal: { preset: 'best', loss: { classification: 'focal', backgroundNegatives: false } },
  retinanet: { head: 'retinanet' },
} satisfies Record<string, Partial<DetectorOptions>>;
export type Form = keyof typeof forms;
export const formNames = Object.keys(forms) as Form[];

/** Not square, and of several cells on the coarsest map. */
export function formOptions(form: Form): DetectorOptions {
  return { classes, backbone: 'convnext_test', imageSize: { width: 128, height: 96 }, threads: 1, ...forms[form] };
}
