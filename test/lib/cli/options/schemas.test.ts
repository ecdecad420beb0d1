import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { schemas } from '../../../../lib/cli/options/schemas.ts';
import { loadDatasetConfig } from '../../../../lib/data/dataset-config.ts';
import { temporaryFolder, writeFiles } from '../../../support/voc.ts';

describe('the schemas in configs/', () => {
  it.each(Object.entries(schemas()))('%s is what the tables of options say', async (name, schema) => {
    expect(JSON.parse(await readFile(`configs/${name}`, 'utf8')), 'run "npm run docs"').toEqual(
      JSON.parse(JSON.stringify(schema)),
    );
  });

  it('the one of data sets has the keys that the loader knows', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'a.yaml': 'NOT_A_KEY: 1' });
    const message: string = await loadDatasetConfig(`${folder}/a.yaml`).catch((error) => error.message);
    const known = /Known keys: (.*)$/.exec(message)![1]!.split(', ');
    const { properties } = schemas()['dataset.schema.json'] as { properties: object };
    expect(Object.keys(properties).sort()).toEqual(known.sort());
  });

  it.each(['bccd.yaml', 'voc.yaml'])('%s names its schema, and keeps to its keys', async (name) => {
    const text = await readFile(`configs/${name}`, 'utf8');
    expect(text).toMatch(/^# yaml-language-server: \$schema=dataset\.schema\.json\n/);
    const { properties } = schemas()['dataset.schema.json'] as { properties: object };
    expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys(parseDocument(text).toJS())));
  });

  it('the one of settings has types, ranges, names and words', () => {
    const { properties } = schemas()['settings.schema.json'] as never as {
      properties: Record<'detector' | 'training', { properties: Record<string, Record<string, unknown>> }>;
    };
    expect(properties.training.properties.batchSize).toEqual({
      anyOf: [{ type: 'integer', minimum: 1, maximum: 1024 }, { type: 'null' }],
      description: 'images that go through the model together',
      default: 8,
    });
    expect(properties.training.properties.loss?.anyOf).toContainEqual(
      expect.objectContaining({ additionalProperties: false, type: 'object' }),
    );
    expect(properties.detector.properties.preset?.anyOf).toContainEqual({ enum: ['article', 'ssd', 'dense', 'best'] });
    for (const name of ['train', 'outDir', 'resume']) expect(properties.training.properties).not.toHaveProperty(name);
  });
});
