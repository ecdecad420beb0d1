import { join } from 'node:path';
import { DetectorError, messageOf } from '../../base/errors.ts';
import { readJsonItems } from '../../files/json-stream.ts';
import { raiseBytes } from '../annotation-limits.ts';
import type { DatasetIssue } from '../dataset-issue.ts';
import type { Fault, WrittenObject } from '../examine-objects.ts';
import { ImageFinder, plainPath } from '../image-finder.ts';
import { IssueLog } from '../issue-log.ts';
import { type PartName, partOfPath } from '../part-name.ts';
import { boxAround, boxAroundTurned } from '../written-box.ts';
import type { WrittenImage, WrittenPart } from '../written-image.ts';
import type { DatasetFormat, FoundDataset, Place } from './format.ts';
import { asNumber, className, idOf, isPositive, isRecord, refuse, shorten } from './reading.ts';

/** Label Studio's exports JSON and JSON-MIN (https://labelstud.io/guide/export): coordinates in percent of the upright image. */
export const labelStudio: DatasetFormat = {
  name: 'label-studio',
  title: 'Label Studio JSON',
  claims: ({ name, text }) =>
    /\.json$/i.test(name) &&
    /^\s*\[/.test(text) &&
    (/"(rectanglelabels|polygonlabels|ellipselabels|brushlabels)"/.test(text) ||
      (/"data"\s*:\s*\{/.test(text) && /"(annotations|completions|predictions)"\s*:\s*\[/.test(text))),
  locate,
};

async function locate(claimed: readonly string[], place: Place): Promise<FoundDataset> {
  const files = new Map<PartName | 'all', { path: string; content: Tasks }>();
  const labels = new Set<string>();
  for (const file of claimed) {
    const part = place.file === undefined ? (partOfPath(file) ?? 'all') : 'all';
    if (files.has(part)) {
      throw new DetectorError(
        'CONFIG_INVALID',
        `Several Label Studio files in "${place.root}": ${claimed.slice(0, 5).join(', ')}. Give one of them`,
      );
    }
    const path = join(place.root, file);
    place.footprint.describe(path);
    const content = await readTasks(path, place);
    for (const label of content.labels) labels.add(label);
    files.set(part, { path, content });
  }
  return {
    description: claimed.slice(0, 3).join(', '),
    ...(labels.size > 0 && { classes: [...labels] }),
    parts: new Map([...files].map(([part, { path, content }]) => [part, async () => partOf(path, content, place)])),
  };
}

interface Task {
  name: string;
  size: { width: number; height: number } | undefined;
  objects: WrittenObject[];
  issues: DatasetIssue[];
  /** Nobody has labelled it. */
  unlabelled: boolean;
}

interface Tasks {
  tasks: Task[];
  /** In the order in which they come. */
  labels: Set<string>;
  issues: IssueLog;
}

async function readTasks(path: string, { limits, signal }: Place): Promise<Tasks> {
  const found: Tasks = { tasks: [], labels: new Set(), issues: new IssueLog() };
  try {
    for await (const { index, value } of readJsonItems(path, {
      maxItemBytes: limits.maxAnnotationBytes,
      remedy: raiseBytes,
      signal,
    })) {
      const task = isRecord(value) ? readTask(path, value, index ?? 0) : undefined;
      if (task === undefined || task.name === '') {
        const message = `task ${index} has no image`;
        found.issues.add({ file: path, kind: 'annotation-invalid', message, action: 'skipped' });
        continue;
      }
      found.tasks.push(task);
      for (const { label, fault } of task.objects) if (!fault) found.labels.add(label);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw refuse(path, 'Label Studio JSON', messageOf(error), error);
  }
  return found;
}

function readTask(file: string, task: Record<string, unknown>, index: number): Task {
  const data = isRecord(task.data) ? task.data : task;
  const issues: DatasetIssue[] = [];
  const name = typeof data.image === 'string' ? data.image : (Object.values(data).find(looksLikeImage) ?? '');
  const { results, unlabelled } = resultsOf(task, (count) => {
    const message = `task ${index} has ${count} annotations: one of them is used`;
    issues.push({ file, object: index, kind: 'duplicate-object', message, action: 'kept' });
  });
  const regions = results
    .filter(isRecord)
    .filter(({ type }) => type !== 'choices' && type !== 'textarea' && type !== 'rating');
  const first = regions.find(
    ({ original_width, original_height }) => isPositive(original_width) && isPositive(original_height),
  );
  const size = first && { width: first.original_width as number, height: first.original_height as number };
  return { name, size, objects: regions.flatMap((region) => readRegion(region)), issues, unlabelled };
}

function looksLikeImage(value: unknown): value is string {
  return typeof value === 'string' && /\.(jpe?g|jfif|png|webp|bmp|gif|tiff?|heic)([?#]|$)/i.test(value);
}

/** Of several annotations the one that is marked as the truth, else the first that was not cancelled. */
function resultsOf(task: Record<string, unknown>, onSeveral: (count: number) => void) {
  const list = task.annotations ?? task.completions;
  if (Array.isArray(list)) {
    const done = list.filter(isRecord).filter(({ was_cancelled }) => was_cancelled !== true);
    if (done.length > 1) onSeveral(done.length);
    const chosen = done.find(({ ground_truth }) => ground_truth === true) ?? done[0];
    const results = chosen && Array.isArray(chosen.result) ? (chosen.result as unknown[]) : [];
    return { results, unlabelled: chosen === undefined };
  }
  // Predictions, as detect --save writes them, are no labels before somebody has looked at them.
  if (isRecord(task.data)) return { results: [], unlabelled: true };
  // JSON-MIN: the results stand under the name of the control, most often "label".
  const lists = Object.values(task).filter((value): value is unknown[] => Array.isArray(value) && value.some(isRecord));
  return { results: lists.flat(), unlabelled: lists.length === 0 && !('annotator' in task) };
}

const LABELS = /^(rectangle|polygon|ellipse|brush|key ?point|video)?labels$/i;

/** One region; in JSON-MIN its value stands in the region itself. */
function readRegion(region: Record<string, unknown>): WrittenObject[] {
  const value = isRecord(region.value) ? region.value : region;
  const key = Object.keys(value).find((each) => LABELS.test(each) && Array.isArray(value[each]));
  if (key === undefined && (region.type === 'rectangle' || region.type === 'polygon' || region.type === 'ellipse'))
    return [];
  const labels = key === undefined ? [] : (value[key] as unknown[]);
  const { box, fault } = boxOf(value, region);
  const shape = { box, difficult: false };
  if (labels.length === 0)
    return [{ ...shape, label: '', fault: { kind: 'annotation-invalid', message: 'it has no label' } }];
  return labels.map((label) => ({ ...shape, label: className(label), fault }));
}

/** In parts of the image. Rectangles are turned about their upper left corner, in pixels. */
function boxOf(
  value: Record<string, unknown>,
  { original_width, original_height }: Record<string, unknown>,
): { box: WrittenObject['box']; fault?: Fault } {
  if (Array.isArray(value.points)) return { box: boxAround(value.points.flat(1).map((side) => asNumber(side) / 100)) };
  if ('rle' in value || 'format' in value) {
    return {
      box: boxAround([]),
      fault: { kind: 'annotation-invalid', message: 'a brush has no box; draw a rectangle' },
    };
  }
  const [x, y, width, height] = [value.x, value.y, value.width, value.height].map(asNumber) as [
    number,
    number,
    number,
    number,
  ];
  const [rx, ry] = [asNumber(value.radiusX), asNumber(value.radiusY)];
  const isEllipse = !Number.isNaN(rx + ry);
  const upright = isEllipse
    ? { xmin: x - rx, ymin: y - ry, xmax: x + rx, ymax: y + ry }
    : { xmin: x, ymin: y, xmax: x + width, ymax: y + height };
  const rotation = typeof value.rotation === 'number' ? value.rotation : 0;
  const [w, h] = [
    isPositive(original_width) ? original_width : 100,
    isPositive(original_height) ? original_height : 100,
  ];
  const pixels = {
    xmin: (upright.xmin * w) / 100,
    ymin: (upright.ymin * h) / 100,
    xmax: (upright.xmax * w) / 100,
    ymax: (upright.ymax * h) / 100,
  };
  const pivot = isEllipse ? { x: (x * w) / 100, y: (y * h) / 100 } : { x: pixels.xmin, y: pixels.ymin };
  const turned = rotation === 0 ? pixels : boxAroundTurned(pixels, rotation, pivot);
  return { box: { xmin: turned.xmin / w, ymin: turned.ymin / h, xmax: turned.xmax / w, ymax: turned.ymax / h } };
}

async function partOf(path: string, { tasks, issues: own }: Tasks, place: Place): Promise<WrittenPart> {
  const tree = await place.images();
  const finder = new ImageFinder(tree);
  const issues = new IssueLog();
  issues.addLog(own);
  const images: WrittenImage[] = [];
  const seen = new Set<string>();
  for (const { name, size, objects, issues: found, unlabelled } of tasks) {
    const names = namesOf(name);
    const imagePath = firstAnswer(names, (each) => finder.find(each));
    if (imagePath === undefined || seen.has(imagePath)) {
      const message =
        imagePath === undefined
          ? `no image "${shorten(name)}"${firstAnswer(names, (each) => finder.hint(each)) ?? ''}`
          : `"${shorten(name)}" is there twice`;
      const kind = imagePath === undefined ? 'image-missing' : 'duplicate-file';
      issues.add({ file: path, kind, message, action: 'skipped' });
      continue;
    }
    seen.add(imagePath);
    const image = {
      id: idOf(imagePath, tree.root),
      imagePath,
      annotationPath: path,
      size,
      objects,
      relative: true as const,
    };
    if (!unlabelled) images.push({ ...image, issues: found });
    else
      issues.add({
        file: imagePath,
        kind: 'annotation-missing',
        message: 'nobody has labelled it',
        action: 'skipped',
      });
  }
  return {
    length: images.length,
    at: (index) => images[index]!,
    issues,
    trees: [tree],
  };
}

/**
 * What the image may be called: of "/data/local-files/?d=cats/1.jpg" what follows, of "/data/upload/1/ab12cd34-cat.jpg" also "cat.jpg",
 * because a number in hexadecimals stands before uploaded names.
 */
function namesOf(name: string): string[] {
  const local = /[?&]d=([^&]+)/.exec(name)?.[1];
  const path = plainPath(local === undefined ? name.replace(/[?#].*$/s, '') : decodeURIComponentSafely(local));
  return [path, decodeURIComponentSafely(path), path.replace(/(^|\/)[\da-f]{8}-([^/]+)$/i, '$1$2')];
}

/** What `ask` answers for the first name for which it has an answer. */
function firstAnswer(names: readonly string[], ask: (name: string) => string | undefined): string | undefined {
  for (const name of names) {
    const answer = ask(name);
    if (answer) return answer;
  }
  return undefined;
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
