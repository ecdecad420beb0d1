import { checkKeys, checkOneOf, checkString } from '../base/check.ts';
import { boolean, callback, choice, integer, kind, text } from '../base/kinds.ts';
import { type Given, option } from '../base/option.ts';
import type { Size } from '../boxes/box.ts';
import { resizeNames } from '../boxes/letterbox.ts';
import { checkClasses } from '../model/class-list.ts';
import { type BackboneName, backboneNames, checkImageSize, presetAliases, presetNames } from '../model/config.ts';
import { type BoxOptions, checkOrderedBoxes } from '../model/default-box-options.ts';
import { headNames, headWidths } from '../model/detection-head.ts';
import { featuresNames, fusionNames } from '../model/feature-pyramid.ts';
import { assignerNames, lossKind, scoresNames } from '../model/loss-options.ts';
import { nmsNames } from '../model/postprocess-options.ts';
import { type ComputeOptions, computeTable } from './compute-options.ts';

const group = 'Model';

const trustTable = {
  /**
   * Whether a TorchScript backbone is loaded without a check. Such a file is a program: LibTorch runs its `__setstate__` on loading, which
   * can write files. Use it only if you trust the author as you trust the author of a program. It is for models with an operator outside
   * the list of allowed ones.
   * @default false
   */
  trustTorchScript: option(boolean(), {
    default: false,
    group,
    flags: ['trust-torchscript'],
    help: 'load a TorchScript file, which is a program, without looking into it',
  }),
};

const asTrainedTable = {
  /**
   * Whether to compute like the training run that wrote the checkpoint. `device`, `precision` and, on the CPU, `threads` then default to
   * those of the run. A run that is resumed with such a detector continues bit for bit.
   * @default false: `cpu`, `auto` and one thread per core
   */
  asTrained: option(boolean(), { default: false, group, flag: false, help: 'compute as the training run did' }),
  /**
   * Called with a sentence if the checkpoint is damaged and another one of its run is loaded: which, and why.
   * @default `process.emitWarning`
   */
  onWarning: option(callback<(message: string) => void>(), {
    unset: 'process.emitWarning',
    group,
    flag: false,
    help: 'told which checkpoint is loaded instead of a damaged one',
  }),
};

/** Every option of `Detector.load`. */
export const loadTable = { ...asTrainedTable, ...trustTable, ...computeTable };

/** The options of a model, each declared here alone. */
const modelTable = {
  /** The names of the classes, for example `['cat', 'dog']`. `__background__` may stand first, as in the article's files; it is left out. */
  classes: option(kind<readonly string[], string[]>(checkClasses, 'array of class names'), {
    required: true,
    group,
    flag: false,
    help: 'names of the classes',
  }),
  /**
   * The model that other options change: `ssd`, a feature pyramid for objects of every size; `article`, one map of stride 32, as in
   * the article; or `dense`, the head of that name. `best` is the earlier name of `ssd`.
   * @default 'ssd', or that of a file of `weights` with a head for as many classes
   */
  preset: option(choice(presetNames, presetAliases), {
    unset: 'ssd',
    group,
    help: 'ssd: a feature pyramid, for objects of every size; article: one map, as in the article; dense: the head dense',
  }),
  /**
   * A ConvNeXt, or the path of a TorchScript file whose `forward([N,3,H,W])` gives one or more maps.
   * @default 'convnext_tiny'
   */
  backbone: option(
    kind<BackboneName | { torchscript: string }>(checkBackbone, `one of ${backboneNames.join(', ')}`, {
      placeholder: '<name|file>',
      schema: {
        anyOf: [
          { enum: backboneNames },
          {
            type: 'object',
            properties: { torchscript: { type: 'string' } },
            required: ['torchscript'],
            additionalProperties: false,
          },
        ],
      },
    }),
    { unset: 'convnext_tiny', group, isFile: true, help: `${backboneNames.join(', ')}, or a TorchScript file` },
  ),
  /**
   * The size in pixels that images are resized to: multiples of 32 from 64 to 4096.
   * @default 640 x 640
   */
  imageSize: option(
    kind<Size>(checkImageSize, 'width and height, multiples of 32 from 64 to 4096', {
      placeholder: '<size...>',
      item: integer({ min: 1 }),
      schema: {
        type: 'object',
        properties: {
          width: { type: 'integer', minimum: 64, maximum: 4096, multipleOf: 32 },
          height: { type: 'integer', minimum: 64, maximum: 4096, multipleOf: 32 },
        },
        required: ['width', 'height'],
        additionalProperties: false,
      },
    }),
    { unset: '640 640', group, flags: ['imgsz'], help: 'width and height that images are resized to' },
  ),
  /**
   * How an image is brought to `imageSize`: `stretch` fills it, and may change the image's proportions; `letterbox` keeps them, with the
   * image in the upper left corner and grey (114) beside it. Boxes are in pixels of the original image with both.
   * @default 'stretch'
   */
  resize: option(choice(resizeNames), {
    unset: 'stretch',
    group,
    help: 'stretch: fill the size; letterbox: keep proportions, with grey beside the image',
  }),
  /**
   * The detection head: `ssd`; `retinanet`, torchvision's RetinaNet on a pyramid of its own, with its anchors and limits, whatever the
   * preset; or `dense`, RTMDet's (Lyu et al. 2022), which needs no default boxes. Scores of the last two are sigmoids, one for each class.
   * @default 'ssd', with the preset `dense` 'dense'
   */
  head: option(choice(headNames), {
    unset: 'ssd; preset dense: dense',
    group,
    help: "the detection head; retinanet: torchvision's RetinaNet; dense: RTMDet's",
  }),
  /**
   * The number of channels of the maps of the head `dense`, from 8 to 1024: fewer make it faster, and its neck simpler.
   * @default that of the backbone's finest map: 192 for `convnext_tiny`
   */
  headWidth: option(integer(headWidths), {
    unset: "that of the backbone's finest map",
    group,
    help: 'head dense: channels of its maps; fewer are faster',
  }),
  /**
   * Whether the head `dense` has a second branch that gives each object one box: detections come from it, without NMS. It is trained
   * beside the first one, on the same maps, and detects a little less well. `false` for the weights of such a detector takes the first
   * branch, with NMS.
   * @default false
   */
  endToEnd: option(boolean(), {
    unset: 'false',
    group,
    help: 'head dense: detect without NMS, by a second branch that gives each object one box',
  }),
  /**
   * The maps that the head uses: the backbone's own maps (`last`) or a feature pyramid.
   * @default that of preset or head: 'pyramid', with the preset `article` 'last'
   */
  features: option(choice(featuresNames), {
    unset: 'pyramid; preset article: last',
    group,
    help: "what the head looks at: the backbone's last maps, or a pyramid",
  }),
  /**
   * The fusion of a pyramid's maps: from the top down (`fpn`), or `none`.
   * @default 'none', with the head `retinanet` 'fpn'
   */
  fusion: option(choice(fusionNames), {
    unset: 'none; head retinanet: fpn',
    group,
    help: 'of a feature pyramid: fpn adds a path from the top down',
  }),
  /**
   * The default boxes or anchors, for example those that `analyzeDataset` proposes.
   * @default those of preset or head
   */
  defaultBoxes: option(
    kind<BoxOptions>(checkOrderedBoxes, 'default boxes or anchors', { schema: { type: 'object' } }),
    {
      unset: 'those of preset or head',
      group,
      flag: false,
      help: 'default boxes or anchors, as analyze proposes them',
    },
  ),
  /**
   * The method that merges overlapping detections. `plain` keeps the best box. `diou` uses distance IoU (Zheng et al. 2020). `weighted`
   * averages a kept box with the boxes that it suppressed.
   * @default 'plain'
   */
  nms: option(choice(nmsNames), { unset: 'plain', group, help: 'how overlapping boxes become one' }),
  /**
   * The meaning of scores: one class or the background (`softmax`), or each class by itself (`sigmoid`). It decides the class loss of a
   * training.
   * @default 'softmax', with the heads `retinanet` and `dense` 'sigmoid'
   */
  scores: option(choice(scoresNames), {
    unset: 'softmax; heads retinanet and dense: sigmoid',
    group,
    help: 'softmax: one class out of all; sigmoid: each class by itself',
  }),
  /** @deprecated Use the Trainer's option `loss`. This is its default for runs with this detector. */
  loss: option(lossKind, { group, flag: false, help: 'the loss of a training' }),
  /** @deprecated Use the Trainer's option `assigner`. This is its default for runs with this detector. */
  assigner: option(choice(assignerNames), { group, flag: false, help: 'the assigner of a training' }),
  /**
   * A file with the backbone's weights: `.pth` (torch.save) or safetensors, of the DINOv3 or ConvNeXt repository, Hugging Face, timm, the
   * article's training, or this library. Its content says which, not its name. A head in it is taken too when it fits `classes`. For a
   * safetensors file of `exportDetector` with as many classes, options that are left out are as the file says; options under which its
   * head would mean something else are rejected.
   * @default random weights
   */
  weights: option(text('<file>'), {
    unset: 'random weights',
    group,
    flags: ['weight'],
    help: 'weights, or a TorchScript backbone; DINOv3_WEIGHTS has the folder of bare names',
  }),
  /**
   * The seed of the random first weights.
   * @default 42
   */
  seed: option(integer(), { default: 42, group, help: 'of the random first weights' }),
};

/** Every option of `Detector.create`. */
export const createTable = { ...modelTable, ...trustTable, ...computeTable };

/** The options of `Detector.create`: the model, its first weights, and where it computes. Only `classes` has no default. */
export interface DetectorOptions extends Given<typeof modelTable>, Given<typeof trustTable>, ComputeOptions {}

/** The options of `Detector.load`: where the detector computes, and how far its file is trusted. */
export interface LoadOptions extends Given<typeof asTrainedTable>, Given<typeof trustTable>, ComputeOptions {}

function checkBackbone(name: string, value: unknown): BackboneName | { torchscript: string } {
  if (typeof value === 'string') return checkOneOf(name, value, backboneNames);
  const { torchscript } = checkKeys(name, value, ['torchscript']);
  return { torchscript: checkString(`${name}.torchscript`, torchscript) };
}
