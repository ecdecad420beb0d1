import { version } from '../../base/version.ts';
import type { DetectorConfig } from '../../model/config.ts';
import { presetMaps } from '../../model/config.ts';
import { boxesPerCell } from '../../model/default-box-options.ts';
import type { HeadName } from '../../model/detection-head.ts';
import type { Scores } from '../../model/loss-options.ts';
import { scoresOf } from '../../model/scores.ts';
import type { OnnxInput, OnnxResult } from '../metadata.ts';
import type { Model, Value } from '../proto/model-proto.ts';
import { type DefaultBoxes, decodeBoxes } from './box-decoding.ts';
import { convNext } from './convnext.ts';
import { denseHead } from './dense-head.ts';
import { denseNeck } from './dense-neck.ts';
import { type ExtraMap, featurePyramid, retinaNetExtra, ssdExtra } from './feature-pyramid.ts';
import { Graph, type Opset } from './graph.ts';
import { detectionQueries } from './object-queries.ts';
import { selectDetections } from './postprocess.ts';
import { retinaNetHead } from './retinanet-head.ts';
import { type HeadOutput, ssdHead } from './ssd-head.ts';
import type { TensorSource } from './tensor-source.ts';

export interface DetectorGraphOptions {
  opset: Opset;
  input: OnnxInput;
  result: OnnxResult;
  /** Backbone and pyramid in float16. */
  half: boolean;
}

/** A detector as data, which this room needs of it. */
export interface DescribedModel {
  config: DetectorConfig;
  classes: readonly string[];
  defaultBoxes: DefaultBoxes;
}

/** The whole detector, from pixels to boxes: native/models/detector_model.cc and what follows it. */
export function detectorGraph(
  { config, classes, defaultBoxes }: DescribedModel,
  tensors: TensorSource,
  { opset, input, result, half }: DetectorGraphOptions,
): Omit<Model, 'description'> {
  const graph = new Graph(opset, tensors);
  const images = normalized(graph, config, input, result);
  graph.type = half ? 'float16' : 'float';
  const maps = featureMaps(graph, config, graph.cast(images, graph.type));
  graph.type = 'float';
  const floats = maps.map((map) => graph.cast(map, 'float'));
  const { logits, codes } = headOf(config).predict(graph, floats, classes.length);
  const scores = classScores(graph, logits, classes.length, scoresOf(config));
  const boxes = decodeBoxes(graph, codes, defaultBoxes, config.imageSize);
  const outputs =
    result === 'none'
      ? { boxes, scores }
      : ofOneImage(graph, scores, boxes, boxesOfMaps(config), config, result === 'queries');
  for (const [name, value] of Object.entries(outputs)) graph.output(name, value);
  const { inputs, nodes, initializers } = graph;
  return {
    opset,
    producerVersion: version,
    graphName: 'detector',
    inputs,
    outputs: graph.outputs,
    nodes,
    initializers,
  };
}

function ofOneImage(
  graph: Graph,
  scores: Value,
  boxes: Value,
  perMap: readonly number[],
  { postprocess, imageSize }: DetectorConfig,
  queries: boolean,
): Record<string, Value> {
  const detections = selectDetections(graph, scores, boxes, perMap, postprocess);
  const classes = scores.shape.at(-1) as number;
  return queries ? detectionQueries(graph, detections, classes, imageSize, postprocess) : { ...detections };
}

/** Pixels from the outside -> [N, 3, height, width] with the mean taken off, in units of the deviation. */
function normalized(
  graph: Graph,
  { imageSize, mean, std }: DetectorConfig,
  input: OnnxInput,
  result: OnnxResult,
): Value {
  const { width, height } = imageSize;
  const batch = result === 'none' ? 'N' : 1;
  const isBytes = input === 'uint8';
  const given = isBytes
    ? graph.input('images', 'uint8', [batch, height, width, 3])
    : graph.input(result === 'queries' ? 'pixel_values' : 'images', 'float', [batch, 3, height, width]);
  const planes = isBytes
    ? graph.div(graph.cast(graph.transpose(given, [0, 3, 1, 2]), 'float'), graph.float(255))
    : given;
  return graph.div(graph.sub(planes, graph.floats(mean, [3, 1, 1])), graph.floats(std, [3, 1, 1]));
}

interface HeadGraph {
  /** Maps [N, C, h, w] and a number of classes -> what is predicted. */
  predict(graph: Graph, maps: readonly Value[], classes: number): HeadOutput;
  /** The maps of a pyramid, from those of the backbone. */
  neck(graph: Graph, stages: readonly Value[], config: DetectorConfig): Value[];
}

const pyramidWith =
  (extra: ExtraMap): HeadGraph['neck'] =>
  (graph, stages, config) =>
    featurePyramid(graph, stages, { fused: config.fusion === 'fpn', maps: presetMaps(config).length, extra });

const heads: Record<HeadName, HeadGraph> = {
  ssd: { predict: ssdHead, neck: pyramidWith(ssdExtra) },
  retinanet: { predict: retinaNetHead, neck: pyramidWith(retinaNetExtra) },
  dense: { predict: denseHead, neck: denseNeck },
};

function headOf({ head = 'ssd' }: DetectorConfig): HeadGraph {
  return heads[head];
}

function featureMaps(graph: Graph, config: DetectorConfig, images: Value): Value[] {
  const isPyramid = config.features === 'pyramid';
  const stages = convNext(graph, images, isPyramid);
  return isPyramid ? headOf(config).neck(graph, stages, config) : stages;
}

/** Of every class but the background. */
function classScores(graph: Graph, logits: Value, classes: number, scores: Scores): Value {
  const columns = logits.shape.at(-1) as number;
  const ofClasses = (x: Value) => graph.slice(x, -1, columns - classes, columns);
  return scores === 'sigmoid' ? graph.sigmoid(ofClasses(logits)) : ofClasses(graph.softmax(logits));
}

/** Default boxes of each map. */
export function boxesOfMaps(config: DetectorConfig): number[] {
  return presetMaps(config).map(({ width, height }, k) => width * height * boxesPerCell(config.defaultBoxes, k));
}
