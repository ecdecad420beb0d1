import { DetectorError } from '../base/errors.ts';
import { Detector } from '../detector/detector.ts';
import type { ImageInput } from '../images/image.ts';
import type { OnnxDetector } from '../inference/onnx-detector.ts';
import {
  type Call,
  type DetectorSource,
  type Method,
  type Methods,
  packError,
  type Reply,
  type Request,
} from './protocol.ts';

/** The end of a channel in the process of the detectors. */
export interface ServicePort {
  post(reply: Reply): void;
  onMessage(listener: (request: Request) => void): void;
}

/**
 * The number of calls that run at the same time. While one computes, the images of the next ones are decoded. Further calls wait, and can
 * be aborted.
 */
const MAX_RUNNING = 4;

/** Serves detectors to a host until the process ends. */
export function serveDetectors(port: ServicePort): void {
  const detectors = new Map<number, Detector | OnnxDetector>();
  const images = new Map<number, ImageInput[]>();
  const waiting: Call[] = [];
  let running = 0;

  port.onMessage((request) => {
    if (request.kind === 'image') {
      images.set(request.call, [...(images.get(request.call) ?? []), request.image]);
    } else if (request.kind === 'abort') {
      abort(request.call);
    } else {
      waiting.push(request);
      startWaiting();
    }
  });

  /** Drops a waiting call. A running call continues, and its result is dropped. */
  function abort(call: number): void {
    const index = waiting.findIndex((each) => each.call === call);
    if (index >= 0) waiting.splice(index, 1);
    images.delete(call);
  }

  function startWaiting(): void {
    while (running < MAX_RUNNING && waiting.length > 0) {
      running++;
      void answer(waiting.shift()!).finally(() => {
        running--;
        startWaiting();
      });
    }
  }

  async function answer(request: Call): Promise<void> {
    const { call } = request;
    try {
      port.post({ kind: 'value', call, value: await perform(request) });
    } catch (error) {
      port.post({ kind: 'error', call, error: packError(error) });
    }
  }

  async function perform(request: Call): Promise<Methods[Method]['value']> {
    const given = images.get(request.call) ?? [];
    images.delete(request.call);
    const { method, args } = request;
    if (method === 'open') {
      const detector = await open(args.source);
      detectors.set(request.call, detector);
      const { classes, config, device, precision } = detector;
      const weightReport = detector instanceof Detector ? detector.weightReport : undefined;
      return { classes, config, device, precision, weightReport };
    }
    const detector = detectors.get(args.detector);
    if (!detector) throw new DetectorError('DISPOSED', 'The Detector was used after dispose(); create or load another');
    if (method === 'detect') return detector.detect(given, args.options);
    if (method === 'annotate') return detector.annotate(given[0]!, args.detections, args.options);
    if (method === 'summary') return ofLibTorch(detector, method).summary(args.options);
    if (method === 'export') return ofLibTorch(detector, method).export(args.path, args.options);
    if (method === 'save') return ofLibTorch(detector, method).save(args.dir) as Promise<undefined>;
    detectors.delete(args.detector);
    detector.dispose();
    return undefined;
  }
}

async function open(source: DetectorSource): Promise<Detector | OnnxDetector> {
  if ('load' in source) return Detector.load(source.load, source.options);
  if ('create' in source) return Detector.create(source.create);
  const { OnnxDetector } = await import('../inference/onnx-detector.ts');
  return OnnxDetector.load(source.onnx, source.options);
}

/** Returns a LibTorch detector. @throws {RangeError} for an exported file, which lacks this method */
function ofLibTorch(detector: Detector | OnnxDetector, method: string): Detector {
  if (detector instanceof Detector) return detector;
  throw new RangeError(
    `Expected the backend libtorch for ${method} but found onnx. Use the checkpoint that the file was exported from`,
  );
}
