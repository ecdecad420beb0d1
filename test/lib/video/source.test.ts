import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../../lib/video/source.ts';
import { expectError, temporaryFolder, writeFiles } from '../../support/voc.ts';

/** What stands behind `-i`. */
const inputOf = ({ args }: { args: readonly string[] }) => args[args.indexOf('-i') + 1];
const optionOf = ({ args }: { args: readonly string[] }, option: string) =>
  args.includes(option) ? args[args.indexOf(option) + 1] : undefined;

describe('a file', () => {
  it.each(['a.mp4', '-i.mp4', '-f', 'a:b.mp4', 'http:.mp4', '%03d.png', 'a b,c.mp4'])(
    'may be called %s',
    async (name) => {
      const folder = await temporaryFolder();
      await writeFiles(folder, { [name]: 'content' });
      const source = await openSource(relative(process.cwd(), join(folder, name)));
      expect(source).toMatchObject({ path: join(folder, name), isLive: false });
      expect(inputOf(source)).toBe(`file:${join(folder, name)}`);
      expect(optionOf(source, '-protocol_whitelist')).toBe('file');
      const formats = optionOf(source, '-format_whitelist')!.split(',');
      for (const playlist of ['hls', 'concat', 'dash', 'image2', 'sdp', 'lavfi'])
        expect(formats).not.toContain(playlist);
      expect(formats).toContain('matroska');
    },
  );

  it('may be given as a file URL', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'a b.mp4': 'content' });
    const source = await openSource(pathToFileURL(join(folder, 'a b.mp4')).href);
    expect(source.path).toBe(join(folder, 'a b.mp4'));
  });

  it('has to be there, to be a file, and to hold something', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'empty.mp4': '' });
    await expectError(openSource(join(folder, 'none.mp4')), 'VIDEO_UNREADABLE', 'none.mp4', 'does not exist');
    await expectError(openSource(folder), 'VIDEO_UNREADABLE', folder, 'is a directory');
    await expectError(openSource(join(folder, 'empty.mp4')), 'VIDEO_UNREADABLE', 'empty.mp4', 'empty (0 bytes)');
  });
});

describe('a URL', () => {
  it('may lead to no file, and its password is for nobody', async () => {
    const source = await openSource('rtsp://me:secret@camera/stream?a=b@c');
    expect(source).toMatchObject({ name: 'rtsp://camera/stream?a=b@c', isLive: true });
    expect(source.path).toBeUndefined();
    expect(inputOf(source)).toBe('rtsp://me:secret@camera/stream?a=b@c');
    expect(optionOf(source, '-protocol_whitelist')!.split(',')).not.toContain('file');
    expect(optionOf(source, '-rtsp_flags')).toBe('prefer_tcp');
    const film = await openSource('HTTPS://host/film.mp4');
    expect(film.isLive).toBe(false);
    expect(optionOf(film, '-protocol_whitelist')!.split(',')).toEqual(expect.arrayContaining(['https', 'tls', 'tcp']));
  });

  it.each(['concat://a', 'ftp://host/a.mp4', 'subfile://a', 'pipe://0'])('of %s is refused', async (url) => {
    await expect(openSource(url)).rejects.toThrow(RangeError);
  });
});

describe('a camera', () => {
  it('is known by its path on Linux', async () => {
    const source = await openSource('/dev/video7');
    expect(source).toMatchObject({ isLive: true, args: ['-f', 'v4l2', '-i', resolve('/dev/video7')] });
  });

  it('is else named by its format', async () => {
    const source = await openSource('-video=0', 'avfoundation');
    expect(source).toMatchObject({ isLive: true, args: ['-f', 'avfoundation', '-i', '-video=0'] });
  });
});
