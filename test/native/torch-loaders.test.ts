import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/**
 * LibTorch's readers trust a file: a pickle of theirs makes objects by name, a TorchScript archive runs. So no file gets to them but a
 * TorchScript archive that was looked into, or that the user trusts by name.
 */
const root = fileURLToPath(new URL('../..', import.meta.url));
const files = ['native', 'lib']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
  )
  .filter((path) => /\.(cc|h|ts)$/.test(path));
const sources = new Map(files.map((path) => [path.replaceAll('\\', '/'), readFileSync(join(root, path), 'utf8')]));

/** The files in which something is found. */
const filesWith = (pattern: RegExp) => [...sources].filter(([, text]) => pattern.test(text)).map(([path]) => path);
/** A function of the file: from its first line to the brace that closes it in the first column. */
const functionOf = (path: string, begin: string) => sources.get(path)!.split(begin)[1]!.split('\n}')[0]!;

describe('the readers of LibTorch', () => {
  it('are looked for where they would be', () => {
    expect(filesWith(/#include/).length).toBeGreaterThan(20);
    expect(filesWith(/^import /m).length).toBeGreaterThan(40);
  });

  it.each([
    ['torch::load', /torch::load\b/],
    ['torch::pickle_load', /pickle_load\s*\(|torch::pickle_load\b/],
    ['the unpickler itself', /\bunpickle\s*\(|\bUnpickler\b|readArchiveAndTensors/],
    [
      'other ways to a TorchScript archive',
      /import_ir_module|_load_for_mobile|load_mobile_module|CompilationUnit::define|jit::compile\b/,
    ],
    ['a namespace of them that is opened', /using (namespace torch|torch::(jit::)?load)/],
  ])('have no caller: %s', (_, pattern) => {
    expect(filesWith(pattern)).toEqual([]);
  });

  it('have one caller for TorchScript', () => {
    expect(filesWith(/jit::load\s*\(/)).toEqual(['native/models/torchscript_backbone.cc']);
    expect(sources.get('native/models/torchscript_backbone.cc')!.match(/jit::load\s*\(/g)).toHaveLength(1);
    expect(filesWith(/load_torchscript_backbone/).sort()).toEqual([
      'native/models/detector_model.cc',
      'native/models/torchscript_backbone.cc',
      'native/models/torchscript_backbone.h',
    ]);
    expect(filesWith(/\.createDetector\(/)).toEqual(['lib/detector/detector.ts']);
  });

  it('get only bytes that were looked into or are trusted, and never the file a second time', () => {
    const detector = sources.get('lib/detector/detector.ts')!;
    const builds = detector.match(/await build\(.*\)/g);
    expect(builds).toHaveLength(2);
    for (const call of builds!) expect(call).toMatch(/, program\)$/);
    const programs = detector.match(/const program = .*/g)!.filter((line) => !line.includes('{ torchscript }'));
    expect(programs).toHaveLength(2);
    for (const line of programs) expect(line).toMatch(/readTorchScript\(.*, trusted\)/);
    const reading = functionOf('lib/detector/detector.ts', 'async function readTorchScript(');
    expect(
      reading
        .split('\n')
        .slice(-3)
        .map((line) => line.trim()),
    ).toEqual([
      'if (trusted) return { torchscript };',
      'await vetTorchScript(torchscript, path);',
      'return { torchscript, allowedNodes: [...allowedNodes] };',
    ]);
    const loading = functionOf('native/models/torchscript_backbone.cc', 'load_torchscript_backbone(');
    // Between the two only the name of a class is looked at; nothing is run.
    const [, between] =
      / module = torch::jit::load\(.*\);\n((?:.*\n)*) {2}if \(allowed\) check_nodes\(module, \*allowed\);\n/.exec(
        loading,
      )!;
    expect(between).toMatch(/^ {2}if \(is_script_of\(module, kDetectorClass\)\) \{\n {4}throw [^}]*\n {2}\}\n$/);
  });
});
