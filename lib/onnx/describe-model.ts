import { version } from '../base/version.ts';
import { boxesOfMaps, type DescribedModel, type DetectorGraphOptions } from './graph/detector-graph.ts';
import { METADATA_FORMAT } from './metadata.ts';

const LICENCE_NOTICE =
  'Weights that began as those of DINOv3 stay under the DINOv3 License of Meta Platforms, ' +
  'https://ai.meta.com/resources/models-and-libraries/dinov3-license/: give a copy of it along with this file.';

/** Entries of the file's metadata: text, lists and objects as JSON. */
export function describeOnnx(
  { config, classes }: DescribedModel,
  { opset, input, result, half }: DetectorGraphOptions,
): Record<string, string> {
  return {
    format: METADATA_FORMAT,
    format_version: '1',
    created_by: `dinov3-det ${version}`,
    classes: JSON.stringify(classes),
    image_size: JSON.stringify(config.imageSize),
    resize: config.resize ?? 'stretch',
    input,
    nms: result,
    opset: `${opset}`,
    precision: half ? 'fp16' : 'fp32',
    postprocess: JSON.stringify(config.postprocess),
    boxes_of_maps: JSON.stringify(boxesOfMaps(config)),
    model: JSON.stringify(config),
    licence: LICENCE_NOTICE,
  };
}

/** What people read who open the file. */
export function describeUse({ config, classes }: DescribedModel, { input, result }: DetectorGraphOptions): string {
  const { width, height } = config.imageSize;
  const pixels =
    input === 'uint8' ? `uint8 [N, ${height}, ${width}, 3]` : `float [N, 3, ${height}, ${width}] from 0 to 1`;
  const given = {
    inside: 'boxes [D, 4] (xyxy in pixels of the input), scores [D] and labels [D] of one image, best first',
    none: 'boxes [N, A, 4] (xyxy in pixels of the input) and scores [N, A, C], before NMS',
    queries: 'logits and pred_boxes for transformers.js',
  }[result];
  const fitted =
    config.resize === 'letterbox'
      ? `Resize an image to fit into ${width}x${height} with its aspect ratio, in the upper left corner with grey (114) beside it, `
      : `Resize an image to ${width}x${height} without keeping its aspect ratio, `;
  return `An object detector for ${classes.join(', ').slice(0, 200)}. ${fitted}and give it as ${pixels}, RGB. It gives ${given}. Normalisation is inside. ${LICENCE_NOTICE}`;
}
