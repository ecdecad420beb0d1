// Measures a trained detector on the validation data:
//   npx tsx examples/evaluate.ts runs/example/best configs/bccd.yaml
import { Detector, Evaluator, loadDatasetConfig, VocDataset } from 'dinov3-det';

const [checkpoint = 'runs/example/best', config = 'configs/bccd.yaml'] = process.argv.slice(2);

const detector = await Detector.load(checkpoint);
const { classes, valid } = await loadDatasetConfig(config);
const evaluator = new Evaluator(await VocDataset.open({ ...valid, classes }));

const { map, map50, voc2010, perClass } = await evaluator.evaluate(detector);
console.log(`COCO mAP@0.5:0.95 ${map.toFixed(4)}, mAP@0.5 ${map50.toFixed(4)}; VOC mAP ${voc2010.toFixed(4)}`);
for (const { label, ap50, groundTruths } of perClass) {
  console.log(`${label}: AP@0.5 ${ap50.toFixed(4)} on ${groundTruths} objects`);
}
detector.dispose();
