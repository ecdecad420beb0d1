import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../../lib/base/package-files.ts';
import { version } from '../../../lib/base/version.ts';

it('the version is that of package.json', () => {
  expect(version).toBe(JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).version);
});
