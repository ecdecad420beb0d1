import { dirname, join } from 'node:path';
import { DetectorError, messageOf } from '../../base/errors.ts';
import type { AnnotationLimits } from '../annotation-limits.ts';
import type { FileTree } from '../file-tree.ts';
import { emptyPart, joinParts } from '../join-parts.ts';
import { type PartName, partOfPath } from '../part-name.ts';
import { listVocFiles, listVocTree, type VocFiles } from '../voc-files.ts';
import type { WrittenImage, WrittenPart } from '../written-image.ts';
import type { DatasetFormat, FoundDataset, Place } from './format.ts';

/** Pascal VOC's XML, one file for each image: the folders of the development kit, or any others. */
export const voc: DatasetFormat = {
  name: 'voc',
  title: 'Pascal VOC XML',
  claims: ({ name, text }) => /\.xml$/i.test(name) && /<annotation[\s>]/.test(text),
  locate,
};

async function locate(_: readonly string[], place: Place): Promise<FoundDataset> {
  if (place.file !== undefined) {
    throw new DetectorError(
      'CONFIG_INVALID',
      `"${place.path}" is the annotation of one image. Give the folder of the data set`,
    );
  }
  const tree = await place.tree();
  const kits = devkitsOf(tree);
  if (kits.length === 0) return locateFolders(tree, place);
  for (const file of tree.files) if (LIST.test(file)) place.footprint.describe(join(place.root, file));
  const parts = new Map<PartName | 'all', () => Promise<WrittenPart>>();
  for (const part of new Set(kits.flatMap(({ lists }) => [...lists.keys()]))) {
    parts.set(part, async () => joinParts(await Promise.all(kits.map((kit) => readKit(kit, part, place)))));
  }
  return { description: kits.map(({ folder }) => folder || 'one VOCdevkit folder').join(', '), parts };
}

const LIST = /^((?:.*\/)?)ImageSets\/Main\/([^/_]+)\.txt$/;

/** A folder with JPEGImages, Annotations and lists; of a part, the name of its list. */
interface Devkit {
  folder: string;
  lists: Map<PartName, string>;
}

function devkitsOf(tree: FileTree): Devkit[] {
  const kits = new Map<string, Map<PartName, string>>();
  for (const file of tree.files) {
    const [, folder, list] = LIST.exec(file) ?? [];
    if (folder === undefined || list === undefined) continue;
    const part = partOfPath(list);
    const lists = kits.get(folder) ?? new Map<PartName, string>();
    // "trainval" counts where there is no "train".
    if (part !== undefined && (list !== 'trainval' || !lists.has('train'))) lists.set(part, list);
    kits.set(folder, lists);
  }
  const found = [...kits].filter(([, lists]) => lists.size > 0);
  return found.map(([folder, lists]) => ({ folder: folder.replace(/\/$/, ''), lists }));
}

async function readKit({ folder, lists }: Devkit, part: PartName, place: Place): Promise<WrittenPart> {
  const split = lists.get(part);
  if (split === undefined) return emptyPart();
  const files = await listVocFiles({ root: join(place.root, folder), split }, place.footprint, place.signal);
  return vocPart(files, place.limits, folder === '' ? '' : `${folder}/`);
}

function locateFolders(tree: FileTree, { limits }: Place): FoundDataset {
  const byPart = new Map<PartName | 'all', string[]>();
  for (const file of tree.files) {
    const part = partOfPath(dirname(file)) ?? 'all';
    const own = byPart.get(part);
    if (own) own.push(file);
    else byPart.set(part, [file]);
  }
  const withAnnotations = [...byPart].filter(([, files]) => files.some((file) => /\.xml$/i.test(file)));
  return {
    description: 'XML files and images',
    parts: new Map(
      withAnnotations.map(([part, files]) => {
        const open = () => ({ ...listVocTree({ root: tree.root, files }), trees: [tree] });
        return [part, async () => vocPart(open(), limits)];
      }),
    ),
  };
}

/** The images of files that are paired. The XML is read when its image is asked for. */
export function vocPart({ pairs, ...files }: VocFiles, limits: AnnotationLimits, prefix = ''): WrittenPart {
  return {
    ...files,
    length: pairs.length,
    annotationName: /\.xml$/i,
    async at(index): Promise<WrittenImage> {
      const { id, imagePath, annotationPath } = pairs[index]!;
      const image = { id: `${prefix}${id}`, imagePath, annotationPath, sizeName: '<size>' };
      // On first use: a program that only detects starts without it.
      const { readVocAnnotation, toWritten } = await import('../voc-annotation.ts');
      try {
        const { objects, size } = await readVocAnnotation(annotationPath, limits);
        return { ...image, size, objects: objects.map(toWritten) };
      } catch (error) {
        if (!(error instanceof DetectorError)) throw error;
        const issue = { file: annotationPath, kind: 'annotation-invalid' as const, message: messageOf(error) };
        return { ...image, objects: [], unusable: true, issues: [{ ...issue, action: 'skipped' }] };
      }
    },
  };
}
