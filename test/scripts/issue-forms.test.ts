import { readdir, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { parse as parseCommand } from '../support/command-lines.ts';

interface Field {
  type: string;
  id?: string;
  attributes: { label?: string; value?: string; description?: string };
  validations?: { required: boolean };
}

const folder = new URL('../../.github/ISSUE_TEMPLATE/', import.meta.url);
const forms = (await readdir(folder)).filter((file) => file !== 'config.yml').sort();

it('there is a form for installations, and one for bugs', () => {
  expect(forms).toEqual(['bug.yml', 'installation.yml']);
});

it.each(forms)('%s has what GitHub asks of a form, and requires the report of doctor', async (file) => {
  const form = parse(await readFile(new URL(file, folder), 'utf8'), { strict: true });
  expect(form).toMatchObject({ name: expect.any(String), description: expect.any(String) });
  const fields: Field[] = form.body;
  const inputs = fields.filter(({ type }) => type !== 'markdown');
  expect(new Set(inputs.map(({ id }) => id)).size).toBe(inputs.length);
  for (const { type, attributes } of inputs) {
    expect(['input', 'textarea']).toContain(type);
    expect(attributes.label).toMatch(/\w/);
  }
  const doctor = inputs.find(({ id }) => id === 'doctor')!;
  expect(doctor.validations).toEqual({ required: true });
  const [, command] = /`npx dinov3-det ([^`]+)`/.exec(doctor.attributes.label!)!;
  await parseCommand(command!.split(' '));
});
