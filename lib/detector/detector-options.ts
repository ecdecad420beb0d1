import type { Size } from '../boxes/box.ts';
import type { BackboneName, PresetChoices, PresetName } from '../model/config.ts';
import type { BoxOptions } from '../model/default-box-options.ts';
import type { HeadName } from '../model/detection-head.ts';
import type { Features, Fusion } from '../model/feature-pyramid.ts';
import type { ComputeOptions } from './compute-options.ts';

/** What `Detector.create` makes: the model, its first weights, and where it computes. Only `classes` has no default. */
export interface DetectorOptions extends ComputeOptions, PresetChoices {
  /** The names of the classes, for example `['cat', 'dog']`. `__background__` may stand first, as in the article's files; it is left out. */
  classes: readonly string[];
  /**
   * `best` (default): a feature pyramid, for objects of every size; `article`: one map of stride 32. Where `weights` have a head for as
   * many classes, the default is its preset.
   */
  preset?: PresetName;
  /** A native ConvNeXt (default `convnext_tiny`), or the path of a TorchScript file whose `forward([N,3,H,W])` gives one or more maps. */
  backbone?: BackboneName | { torchscript: string };
  /** Pixels; multiples of 32 from 64 to 4096; default 640 x 640. Images are resized to it. */
  imageSize?: Size;
  /** Instead of the preset's: what the head looks at, the backbone's own maps (`last`) or a feature pyramid. */
  features?: Features;
  /** Of a pyramid's maps, from the top down: `fpn`, or `none` (default). */
  fusion?: Fusion;
  /**
   * `ssd` (default), or `retinanet`: torchvision's RetinaNet on a pyramid of its own, with its anchors, losses and limits, whatever the
   * preset. As in torchvision the scores are sigmoids, one for each of `classes`; that of the background is never used.
   */
  head?: HeadName;
  /** Instead of the preset's or the head's, for example those that `analyzeDataset` proposes. */
  defaultBoxes?: BoxOptions;
  /**
   * A file with the backbone's weights, told by its content: `.pth` (torch.save) or safetensors, of the DINOv3 or ConvNeXt
   * repository, Hugging Face, timm, the article's training, or this library. A head in it is taken too when it fits `classes`.
   * For a safetensors file of `exportDetector` with as many classes, options that are left out are as the file says; options under
   * which its head would mean something else are refused. Default: random weights.
   */
  weights?: string;
  /** Of the random initial weights; default 42. */
  seed?: number;
  /** As in `LoadOptions`, for a TorchScript `backbone`. */
  trustTorchScript?: boolean;
}

/** Where a detector from a checkpoint computes, and how far its file is trusted. */
export interface LoadOptions extends ComputeOptions {
  /**
   * Compute as the training run did that wrote the checkpoint. `device`, `precision` and, on the CPU, `threads` are those of the run
   * where they are not given. A run that is resumed with such a detector goes on bit for bit.
   * @default false: `cpu`, `auto` and one thread per core
   */
  asTrained?: boolean;
  /**
   * Load a TorchScript backbone without looking into it; default false. Such a file is a program: LibTorch runs its `__setstate__`
   * while it loads it, and that can write any file that this process can. Only for files whose author you trust as you would the
   * author of a program that you run: for a model with an operator that is not on the list of allowed ones.
   */
  trustTorchScript?: boolean;
}
