import type { NativePostprocessOptions } from '../binding.ts';
import type { DetectorConfig } from '../model/config.ts';
import type { PostprocessOptions } from '../model/postprocess-options.ts';

/** How the addon makes detections of a detector's output: without NMS for a detector that is made end to end. */
export function nativePostprocess(
  { postprocess, endToEnd }: Pick<DetectorConfig, 'postprocess' | 'endToEnd'>,
  limits: Partial<PostprocessOptions> = {},
): NativePostprocessOptions {
  return { ...postprocess, ...limits, ...(endToEnd && { nms: 'none' }) };
}
