/**
 * Holds the typing of the public interface: `npm run typecheck` compiles this file, and nothing runs it. A line below
 * `@ts-expect-error` has to be wrong.
 */
import {
  analyzeDataset,
  Dataset,
  type DatasetSource,
  type Detection,
  type DetectOptions,
  Detector,
  type DetectorErrorCode,
  type EpochEvent,
  type EvaluationResult,
  Evaluator,
  type ExportReport,
  exportDetector,
  type ObjectInput,
  previewAugmentation,
  type Sample,
  type StepEvent,
  type TorchmetricsResult,
  Trainer,
  type TrainingHooks,
  type TrainingResult,
  VocDataset,
} from '../../lib/index.ts';

/** Whether two types are the same, and not merely assignable. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

declare const signal: AbortSignal;
declare const bytes: Uint8Array;

export async function detecting(): Promise<void> {
  using detector = await Detector.load('best', { device: 'cuda:1', precision: 'bf16' });
  await using another = await Detector.create({ classes: ['cat', 'dog'], preset: 'article', head: 'retinanet' });

  // One image gives a list of detections, several give a list of lists.
  const one = await detector.detect('photo.jpg');
  same<typeof one, Detection[]>(true);
  const several = await detector.detect(['photo.jpg', bytes, { data: bytes, width: 1, height: 1 }] as const, {
    signal,
  });
  same<typeof several, Detection[][]>(true);
  same<Detection['label'], string>(true);
  same<Detection['score'], number>(true);

  const options: DetectOptions = { scoreThreshold: 0.3, maxDetections: 10, autoOrient: false, batchSize: 1, signal };
  await detector.detect(bytes, options);
  // @ts-expect-error a misspelt option
  await detector.detect(bytes, { treshold: 0.3 });
  // @ts-expect-error a number is no image
  await detector.detect(7);
  // @ts-expect-error the controller instead of its signal
  await detector.detect(bytes, { signal: new AbortController() });

  const drawn = await detector.annotate('photo.jpg', one, { format: 'png', signal });
  same<typeof drawn, Buffer>(true);
  await detector.annotate('photo.jpg', undefined, { quality: 80 });
  // @ts-expect-error no such format
  await detector.annotate('photo.jpg', one, { format: 'gif' });

  for await (const frame of detector.detectVideo('in.mp4', { track: true, signal })) {
    same<typeof frame.timestamp, number>(true);
    frame.detections.map(({ label, id }) => `${label} ${id}`);
  }

  const report = await another.export('model.pth', { part: 'backbone', signal });
  same<typeof report, ExportReport>(true);
  await another.export('model.safetensors');
  same<Awaited<ReturnType<typeof exportDetector>>, ExportReport>(true);
  // @ts-expect-error no such format
  await another.export('model.tflite', { format: 'tflite' });
  // @ts-expect-error anything else than a detector
  await exportDetector({ config: another.config, classes: another.classes }, 'model.pth');

  same<typeof detector.classes, readonly string[]>(true);
  // @ts-expect-error the class list does not change
  detector.classes.push('cow');
  same<typeof detector.precision, 'fp32' | 'bf16'>(true);
  const found = detector.config.postprocess.scoreThreshold;
  same<typeof found, number>(true);
  // @ts-expect-error a detector is made by create or load
  new Detector();
}

export async function literals(): Promise<void> {
  const classes = ['cat'];
  await Detector.create({ classes, backbone: 'convnext_large', features: 'pyramid', fusion: 'fpn', nms: 'diou' });
  await Detector.create({ classes, backbone: { torchscript: 'backbone.pt' } });
  // @ts-expect-error classes are required
  await Detector.create({});
  // @ts-expect-error no such backbone
  await Detector.create({ classes, backbone: 'resnet50' });
  // @ts-expect-error no such preset
  await Detector.create({ classes, preset: 'good' });
  // @ts-expect-error no such precision
  await Detector.load('best', { precision: 'fp64' });
  const code: DetectorErrorCode = 'DISPOSED';
  // @ts-expect-error no such code
  const other: DetectorErrorCode = `${code}_`;
  void other;
}

export async function data(): Promise<Dataset> {
  const box = { xmin: 1, ymin: 2, xmax: 3, ymax: 4 };
  const objects: ObjectInput[] = [{ label: 'cat', box }];
  const source: DatasetSource = { classes: ['cat', 'dog'], signal };
  const own = await Dataset.from(
    [
      { imagePath: 'a.jpg', objects },
      { imagePath: 'b.jpg', width: 4, height: 4, objects },
    ],
    source,
  );
  same<typeof own, Dataset>(true);
  same<(typeof own.samples)[number], Sample>(true);
  // @ts-expect-error the label index is filled in
  await Dataset.from([{ imagePath: 'a.jpg', objects: [{ label: 'cat', labelIndex: 1, box }] }], source);
  // @ts-expect-error classes are required
  await Dataset.from([], {});
  // @ts-expect-error a sample names its image
  await Dataset.from([{ objects }], source);

  const voc: Dataset = await VocDataset.open({ root: 'VOC2012', split: 'train', classes: ['cat'], signal });
  await VocDataset.open({ images: 'images', annotations: 'labels', classes: ['cat'] });
  // @ts-expect-error half a source
  await VocDataset.open({ images: 'images', classes: ['cat'] });

  // Every consumer takes what anyone has made.
  const { classes, samples } = voc;
  const half: Dataset = { classes, samples: samples.slice(1), issues: [], length: samples.length - 1 };
  new Evaluator(half, { batchSize: 4 });
  await analyzeDataset(half, { head: 'retinanet', onProgress: (done, total) => done / total, signal });
  await analyzeDataset(half, {}, { signal });
  await previewAugmentation(half, { augmentation: 'ssd', signal });
  // @ts-expect-error a promise of a data set
  new Evaluator(VocDataset.open({ root: 'VOC2012', split: 'train', classes }));
  // @ts-expect-error no length
  new Evaluator({ classes, samples, issues: [] });
  return half;
}

export async function training(detector: Detector, dataset: Dataset): Promise<void> {
  const options = { train: dataset, valid: dataset, outDir: 'runs/a' };
  const trainer = new Trainer(detector, { ...options, epochs: 2, optimizer: 'sgd', schedule: 'flat-cosine' });
  // @ts-expect-error no such optimizer
  new Trainer(detector, { ...options, optimizer: 'adam' });
  // @ts-expect-error no data to evaluate on
  new Trainer(detector, { train: dataset, outDir: 'runs/a' });

  const hooks: TrainingHooks = { onWarning: (message) => void same<typeof message, string>(true), signal };
  const result = await trainer.run({
    ...hooks,
    onStep: (event) => void same<typeof event, StepEvent>(true),
    onEpoch: async (event) => {
      same<typeof event, EpochEvent>(true);
      same<typeof event.map, number>(true);
      same<typeof event.evaluation, EvaluationResult>(true);
    },
  });
  same<typeof result, TrainingResult>(true);
  // @ts-expect-error no such hook
  await trainer.run({ onBatch: () => {} });

  const { map, map50, coco, compat } = await new Evaluator(dataset).evaluate(detector, {
    onProgress: () => {},
    signal,
  });
  same<typeof map | typeof map50 | typeof coco.ap75, number>(true);
  same<typeof compat.torchmetrics, TorchmetricsResult>(true);
}
