import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

import { mapConcurrently } from '../../../lib/base/map-concurrently.ts';
import { vocObject, vocXml } from '../../support/voc-xml.ts';
import { type Context, sayFailures } from '../context.ts';
import { type MeasuredRow, toRow } from '../rows.ts';
import { type Measurement, measure, ours, type Side } from '../sides.ts';
import { median } from '../statistics.ts';
import { articleWorkload, makeTargets, type Workload } from '../workload.ts';

/** How time and memory grow with what is asked for, and whether they stay flat over a long run. Ours alone. */
export async function memory(context: Context): Promise<MeasuredRow[]> {
  const rows: MeasuredRow[] = [];
  for (const part of [scaling, datasets, manyAnnotations, longRun]) rows.push(...(await part(context)));
  return rows;
}

/** One quantity is doubled at a time. */
async function scaling(context: Context): Promise<MeasuredRow[]> {
  const backbone = context.quick ? 'convnext_test' : articleWorkload.backbone;
  const base = { ...articleWorkload, backbone, side: 256, images: 2 } as const;
  const cases: readonly { name: string; change: Partial<Workload & { images: number }> }[] = [
    ...[1, 2, 4, 8].map((images) => ({ name: `batch of ${images}`, change: { images } })),
    ...[192, 256, 384, 512].map((side) => ({ name: `${side} x ${side} pixels`, change: { side } })),
    ...[3, 21, 41, 81].map((classes) => ({ name: `${classes - 1} classes`, change: { classes } })),
  ];
  const rows: MeasuredRow[] = [];
  for (const { name, change } of cases) {
    const { images, ...workload } = { ...base, ...change };
    context.say(`memory: training ${backbone}, ${name}`);
    const task = { task: 'train', ...workload, targets: makeTargets(images, workload), precision: 'fp32' };
    const { step } = await measure({ step: ours(task) }, { warmup: 2, rounds: context.rounds ?? 5, together: true });
    sayFailures(context, { step });
    rows.push(...timeAndMemory(`training step of ${backbone}, ${name}`, step));
  }
  return rows;
}

/** Opening a data set, twice as many images each time. */
async function datasets(context: Context): Promise<MeasuredRow[]> {
  const rows: MeasuredRow[] = [];
  for (const count of context.quick ? [100, 200] : [2000, 4000, 8000]) {
    context.say(`memory: data set of ${count} images`);
    const source = await writeDataset(join(context.folder, `dataset-${count}`), count);
    const side: Side = ours({ task: 'dataset', source });
    const { open } = await measure({ open: side }, { warmup: 0, rounds: 3, together: true });
    sayFailures(context, { open });
    rows.push(...timeAndMemory(`opening a data set, ${count.toLocaleString('en')} images`, open));
  }
  return rows;
}

async function writeDataset(folder: string, count: number) {
  const [images, annotations] = [join(folder, 'images'), join(folder, 'labels')];
  for (const each of [images, annotations]) await mkdir(each, { recursive: true });
  const image = await sharp({ create: { width: 64, height: 48, channels: 3, background: 'grey' } })
    .png()
    .toBuffer();
  for (let i = 0; i < count; i++) {
    await writeFile(join(images, `${i}.png`), image);
    await writeFile(join(annotations, `${i}.xml`), vocXml(vocObject('thing', 1 + (i % 20), 2, 30, 40).repeat(3)));
  }
  return { images, annotations, classes: ['__background__', 'thing'] };
}

/** A tenth of a million images with ten objects each, in one COCO file: the first opening, and the second one from the cache. */
async function manyAnnotations(context: Context): Promise<MeasuredRow[]> {
  const images = context.quick ? 1000 : 100_000;
  const name = `${(10 * images).toLocaleString('en')} annotations of ${images.toLocaleString('en')} images`;
  context.say(`memory: ${name}`);
  const path = await writeCoco(join(context.folder, `coco-${images}`), images);
  const { command, task } = ours({ task: 'annotations', path });
  const env = { ...command.env, DINOV3_DET_CACHE: join(context.folder, 'cache') };
  const side = { command: { ...command, env }, task };
  const { opened } = await measure({ opened: side }, { warmup: 0, rounds: 2, together: true });
  sayFailures(context, { opened });
  const [first, second] = opened?.steps ?? [];
  if (opened?.peakBytes === undefined || first === undefined || second === undefined) return [];
  const growth = (opened.peakBytes - Number(opened.facts.rss)) / 1e6;
  context.check(`${name} fit into 400 MB`, growth < 400, `${growth.toFixed(0)} MB at the peak`);
  context.check(`${name} open a second time at once`, second.ms < 2000, `${(second.ms / 1000).toFixed(2)} s`);
  return [
    toRow('memory', `${name}: first opening, headers alone`, 's', { ours: [first.ms / 1000] }),
    toRow('memory', `${name}: second opening`, 's', { ours: [second.ms / 1000] }),
    toRow('memory', `${name}: growth of the process`, 'MB', { ours: [growth] }),
  ];
}

async function writeCoco(folder: string, count: number): Promise<string> {
  await mkdir(join(folder, 'images'), { recursive: true });
  const image = await sharp({ create: { width: 64, height: 48, channels: 3, background: 'grey' } })
    .png()
    .toBuffer();
  const images = Array.from({ length: count }, (_, id) => ({ id, file_name: `${id}.png`, width: 64, height: 48 }));
  await mapConcurrently(images, ({ file_name }) => writeFile(join(folder, 'images', file_name), image));
  const file = await open(join(folder, 'instances.json'), 'w');
  try {
    const categories = Array.from({ length: 20 }, (_, id) => ({ id, name: `thing ${id}` }));
    const head = JSON.stringify({ images, categories });
    await file.write(`${head.slice(0, -1)},"annotations":[`);
    for (const { id } of images) {
      const objects = Array.from({ length: 10 }, (_, i) => {
        return { id: 10 * id + i, image_id: id, category_id: i, bbox: [i, 2 + i, 20.5, 30], area: 615, iscrowd: 0 };
      });
      await file.writeFile(`${id === 0 ? '' : ','}${JSON.stringify(objects).slice(1, -1)}`);
    }
    await file.writeFile(']}');
  } finally {
    await file.close();
  }
  return folder;
}

function timeAndMemory(name: string, side: Measurement | undefined): MeasuredRow[] {
  const peak = side?.peakBytes;
  return [
    toRow('memory', name, 'ms', { ours: side?.steps.map(({ ms }) => ms) ?? [] }),
    toRow('memory', `${name}, peak`, 'GB', { ours: peak === undefined ? [] : [peak / 1e9] }),
  ];
}

/** 2,000 small steps: the last quarter as fast as the second, and no more memory than then. */
async function longRun(context: Context): Promise<MeasuredRow[]> {
  const count = context.quick ? 200 : 2000;
  context.say(`memory: ${count} small steps`);
  const workload: Workload = { backbone: 'convnext_test', side: 64, classes: 4, background: 0 };
  const task = { task: 'train', ...workload, targets: makeTargets(2, workload), precision: 'fp32' };
  const { run } = await measure({ run: ours(task) }, { warmup: 0, rounds: count, together: true });
  sayFailures(context, { run });
  if (run === undefined || run.steps.length < count) return [];
  const quarter = (index: number) => run.steps.slice((index * count) / 4, ((index + 1) * count) / 4);
  const time = (index: number) => median(quarter(index).map(({ ms }) => ms));
  const resident = (index: number) => median(quarter(index).map(({ result }) => (result as { rss: number }).rss));
  const [growth, slower] = [(resident(3) - resident(1)) / 1e6, time(3) / time(1)];
  context.check(`${count} small steps stay as fast`, slower < 1.25, `last quarter ${slower.toFixed(2)} x the second`);
  context.check(
    `${count} small steps take no more memory`,
    growth < 20,
    `${growth.toFixed(1)} MB more in the last quarter`,
  );
  return [
    toRow('memory', `${count.toLocaleString('en')} small steps: one of the second quarter`, 'ms', { ours: [time(1)] }),
    toRow('memory', `${count.toLocaleString('en')} small steps: one of the last quarter`, 'ms', { ours: [time(3)] }),
    toRow('memory', `${count.toLocaleString('en')} small steps: growth between them`, 'MB', { ours: [growth] }),
  ];
}
