import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Detector } from '../../lib/detector.ts';
import { exportDetector } from '../../lib/export.ts';
import { readSafetensorsHeader } from '../../lib/weights/safetensors.ts';
import { backboneKeys, depths, extraKeys, headKeys } from '../support/convnext-keys.ts';
import { temporaryFolder } from '../support/voc.ts';

/** A Python with torch: where there is one, torch itself reads what is exported. */
const python = process.env.DINOV3_DET_TORCH_PYTHON;
const script = join(import.meta.dirname, '../reference/load_export.py');

interface Loaded {
  beside: unknown;
  ordered: boolean;
  shared: boolean;
  /** SHA-256 of the tensors in the modules that the files were loaded into. */
  model: Record<string, string>;
  backbone: Record<string, string>;
}

describe.skipIf(!python)('torch reads what is exported (DINOV3_DET_TORCH_PYTHON)', () => {
  it.each(['convnext_test', 'convnext_tiny'] as const)(
    '%s fits load_state_dict(strict=True), every tensor bit for bit',
    async (backbone) => {
      const folder = await temporaryFolder();
      const file = (name: string) => join(folder, name);
      const classes = ['__background__', 'a', 'b'];
      await using detector = await Detector.create({ classes, backbone, imageSize: { width: 64, height: 64 } });
      await detector.save(file('checkpoint'));
      await exportDetector(detector, file('model.pth'), { format: 'pth', epoch: 70_000 });
      await exportDetector(detector, file('backbone.pth'), { format: 'pth', part: 'backbone' });

      const args = [script, backbone, `${classes.length}`, file('model.pth'), file('backbone.pth')];
      const loaded = JSON.parse(execFileSync(python!, args, { encoding: 'utf8' })) as Loaded;

      expect(loaded).toMatchObject({ beside: { epoch: 70_000 }, ordered: true, shared: true });
      const ours = await digests(file('checkpoint/model.safetensors'));
      const norm = ['weight', 'bias'].map((leaf) => ours.get(`backbone.norm.${leaf}`)!);
      const digestsOf = (names: readonly string[]) => names.map((name) => ours.get(name)!);
      const backboneDigests = digestsOf(backboneKeys('dinov3-det', depths[backbone]));
      const expected = (names: readonly string[], values: readonly string[]) =>
        Object.fromEntries(names.map((name, index) => [name, values[index]]));
      expect(loaded.model).toEqual(
        expected(
          [...backboneKeys('article', depths[backbone]), ...extraKeys.article, ...headKeys],
          [...backboneDigests, ...norm, ...digestsOf(headKeys)],
        ),
      );
      expect(loaded.backbone).toEqual(
        expected([...backboneKeys('dinov3', depths[backbone]), ...extraKeys.dinov3], [...backboneDigests, ...norm]),
      );
    },
    60_000,
  );
});

/** SHA-256 of every tensor of a safetensors file. */
async function digests(path: string): Promise<Map<string, string>> {
  const { tensors } = await readSafetensorsHeader(path);
  const bytes = await readFile(path);
  return new Map(
    tensors.map(({ name, offset, byteLength }) => [
      name,
      createHash('sha256')
        .update(bytes.subarray(offset, offset + byteLength))
        .digest('hex'),
    ]),
  );
}
