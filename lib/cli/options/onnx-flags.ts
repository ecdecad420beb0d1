import type { Command, Option } from 'commander';
import { type NmsName, nmsNames } from '../../model/postprocess-options.ts';
import { type NmsPlace, nmsPlaces } from '../../onnx/export-options.ts';
import type { Verification } from '../../onnx/verify.ts';
import { UsageError } from '../usage-error.ts';

/**
 * Lets `--nms` mean two things: the NMS kind of a detector from a weights file, and the place of NMS in an ONNX file. Their values differ.
 * The place may be used together with `--checkpoint`.
 */
export function shareNms(command: Command): void {
  const optionOf = (name: string) => command.options.find(({ long }) => long === name)!;
  const nms = optionOf('--nms');
  const { parseArg } = nms;
  nms.description = `which NMS the detector has (${nmsNames.join(', ')}); onnx: where it is done (${nmsPlaces.join(', ')}; default: inside)`;
  nms.argParser((text: string, previous: unknown) => placeOf(text) ?? parseArg!(text, previous as never));
  const checkpoint = optionOf('--checkpoint') as Option & { conflictsWith: string[] };
  checkpoint.conflictsWith = checkpoint.conflictsWith.filter((name) => name !== 'nms');
}

function placeOf(value: unknown): NmsPlace | undefined {
  return nmsPlaces.find((each) => each === value);
}

/** Removes the place of NMS from the flags, so that `nms` is the model's. @throws {UsageError} */
export function takeNmsPlace(flags: {
  nms?: NmsName | NmsPlace | null | undefined;
  checkpoint?: string;
}): NmsPlace | undefined {
  const place = placeOf(flags.nms);
  if (place !== undefined) delete flags.nms;
  else if (flags.nms !== undefined && flags.checkpoint !== undefined) {
    throw new UsageError(
      "option '--checkpoint <dir>' cannot be used with option '--nms <name>', except for inside and none",
    );
  }
  return place;
}

/** Describes the comparison on one line. */
export function verificationText(verification: Verification | undefined, wanted: boolean): string {
  if (!wanted) return 'Not compared with the detector (--no-verify)';
  if (!verification) {
    return 'Not compared with the detector: onnxruntime-node is not installed (npm install onnxruntime-node --ignore-scripts)';
  }
  const { images, detections, unmatched, box, score } = verification;
  const differences = `boxes differ by at most ${box.toPrecision(2)} pixels, scores by ${score.toPrecision(2)}`;
  return `In onnxruntime-node, on ${images} images with ${detections} detections: ${differences}; ${unmatched} without a match`;
}
