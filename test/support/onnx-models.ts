import type { DetectorOptions } from '../../lib/detector/detector-options.ts';

export const classes = ['__background__', 'cat', 'a "quoted" one', 'c', 'd', 'e'];

/** One model of each form that is written otherwise than the others. */
export const forms = {
  article: { preset: 'article' },
  pyramid: { preset: 'best' },
  fpn: { preset: 'best', fusion: 'fpn' },
  focal: { preset: 'best', loss: { classification: 'focal', backgroundNegatives: false } },
  retinanet: { head: 'retinanet' },
  dense: { preset: 'dense' },
  narrow: { preset: 'dense', headWidth: 24 },
} satisfies Record<string, Partial<DetectorOptions>>;
export type Form = keyof typeof forms;
export const formNames = Object.keys(forms) as Form[];

/** Not square, and small: the tests of exports run many of them. In float32, also where the hardware has bfloat16. */
export function formOptions(form: Form): DetectorOptions {
  return {
    classes,
    backbone: 'convnext_test',
    imageSize: { width: 96, height: 64 },
    precision: 'fp32',
    threads: 1,
    ...forms[form],
  };
}
