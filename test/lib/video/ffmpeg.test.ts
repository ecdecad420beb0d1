import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { findFfmpeg, listEncoders } from '../../../lib/video/ffmpeg.ts';
import { fakeFfmpeg, hasFfmpeg, needsFfmpeg } from '../../support/video.ts';
import { expectError, temporaryFolder, writeFiles } from '../../support/voc.ts';

afterEach(() => vi.unstubAllEnvs());

it('that is missing is named, with the way to get it', async () => {
  vi.stubEnv('DINOV3_DET_FFMPEG', '/no/such/ffmpeg');
  await expectError(
    findFfmpeg(),
    'FFMPEG_NOT_FOUND',
    '/no/such/ffmpeg',
    'was not found',
    'nstall',
    'DINOV3_DET_FFMPEG',
  );
});

it('that is another program is refused', async () => {
  await expectError(findFfmpeg(process.execPath), 'FFMPEG_NOT_FOUND', process.execPath);
});

it.skipIf(!hasFfmpeg)(`without ffprobe beside it is refused${needsFfmpeg}`, async () => {
  const folder = await temporaryFolder();
  const path = await fakeFfmpeg(folder, {});
  expect((await findFfmpeg(path)).ffprobe).toBe(join(folder, 'bin', 'ffprobe'));
  await writeFiles(folder, { 'alone/x': '' });
  await copyFile(path, join(folder, 'alone', 'ffmpeg'));
  await expectError(findFfmpeg(join(folder, 'alone', 'ffmpeg')), 'FFMPEG_NOT_FOUND', join(folder, 'alone', 'ffprobe'));
});

it.skipIf(!hasFfmpeg)(`of the environment, or of PATH${needsFfmpeg}`, async () => {
  vi.stubEnv('DINOV3_DET_FFMPEG', '');
  const found = await findFfmpeg();
  expect(found).toMatchObject({ ffmpeg: 'ffmpeg', ffprobe: 'ffprobe', version: expect.stringMatching(/\d/) });
  const path = await fakeFfmpeg(await temporaryFolder(), {});
  vi.stubEnv('DINOV3_DET_FFMPEG', path);
  expect((await findFfmpeg()).ffmpeg).toBe(path);
  expect(await listEncoders(found)).toContain('mpeg4');
});

it.each([
  ['4.4.2-0ubuntu0.22.04.1', false],
  ['5.0.3', false],
  ['5.1.9-0+deb12u1', true],
  ['n7.1', true],
  ['10.0', true],
  ['N-109542-g45b6b4d2a8', true],
])('%s is recent: %s', async (version, isRecent) => {
  const folder = await temporaryFolder();
  const path = await fakeFfmpeg(folder, {});
  for (const name of ['ffmpeg', 'ffprobe'])
    await writeFiles(folder, { [`bin/${name}`]: `#!/bin/sh\necho "${name} version ${version} Copyright"\n` });
  expect(await findFfmpeg(path)).toMatchObject({ version, isRecent });
});
