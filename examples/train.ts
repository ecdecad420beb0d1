// Trains a detector on a data set in Pascal VOC format:
//   npx tsx examples/train.ts configs/bccd.yaml [OUT_DIR] [BACKBONE] [EPOCHS]
import { type BackboneName, Detector, formatIssues, loadDatasetConfig, Trainer, VocDataset } from 'dinov3-det';

const [config = 'configs/bccd.yaml', outDir = 'runs/example', backbone = 'convnext_tiny', epochs = '20'] =
  process.argv.slice(2);

const { classes, ...sources } = await loadDatasetConfig(config);
const train = await VocDataset.open({ ...sources.train, classes });
const valid = await VocDataset.open({ ...sources.valid, classes });
console.log(formatIssues([...train.issues, ...valid.issues]) || 'The data set is in order');

const imageSize = { width: 256, height: 256 };
const detector = await Detector.create({ classes, backbone: backbone as BackboneName, imageSize });
const trainer = new Trainer(detector, { train, valid, outDir, epochs: Number(epochs) });

const result = await trainer.run({
  onStep: ({ epoch, step, steps, loss }) =>
    console.log(`epoch ${epoch}, step ${step} of ${steps}: loss ${loss.toFixed(3)}`),
  onEpoch: ({ epoch, map, map50 }) => console.log(`epoch ${epoch}: mAP ${map.toFixed(4)}, mAP@0.5 ${map50.toFixed(4)}`),
});
console.log(`Best mAP ${result.bestScore.toFixed(4)} at epoch ${result.bestEpoch}: ${result.outDir}/best`);
detector.dispose();
