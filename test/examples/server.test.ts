import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent, type ClientRequest, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32, deflateSync } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createService, type ServiceOptions } from '../../examples/detection-service.ts';
import { Detector } from '../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../lib/detector/detector-options.ts';
import { node, type Run } from '../support/cli.ts';
import { noise, temporaryFolder } from '../support/voc.ts';

const type = { 'content-type': 'image/png' };
const small: DetectorOptions = {
  classes: ['__background__', 'cat'],
  backbone: 'convnext_test',
  imageSize: { width: 64, height: 64 },
};

/** A real PNG of one colour: `side` x `side` pixels of one bit, 110 KB at 30,000. */
function bomb(side: number): Buffer {
  const chunk = (name: string, content: Buffer) => {
    const [length, crc] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(content.length);
    const body = Buffer.concat([Buffer.from(name), content]);
    crc.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, crc]);
  };
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  const pixels = deflateSync(Buffer.alloc(side * (1 + Math.ceil(side / 8))));
  const chunks = [chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks]);
}

describe('with a detector', () => {
  let detector: Detector;
  let service: FastifyInstance;
  let png: Buffer;

  beforeAll(async () => {
    detector = await Detector.create(small);
    service = createService(detector, { maxBodyBytes: 200_000 });
    png = await noise(90, 70).png().toBuffer();
  });
  afterAll(async () => {
    await service.close();
    detector.dispose();
  });

  const post = (payload: Buffer | string, headers: Record<string, string> = type, query = '') =>
    service.inject({ method: 'POST', url: `/detect${query}`, headers, payload });

  it('answers an image with what Detector.detect finds in it', async () => {
    const expected = await detector.detect(png, { scoreThreshold: 0.3 });
    expect(expected.length).toBeGreaterThan(0);
    const reply = await post(png, type, '?threshold=0.3');
    expect(reply.statusCode).toBe(200);
    expect(reply.json()).toEqual({ detections: expected });
    expect((await post(png)).json()).toEqual({ detections: await detector.detect(png) });
    expect((await post(png, type, '?threshold=1')).json()).toEqual({ detections: [] });
  });

  it.each(['threshold=2', 'threshold=-0.1', 'threshold=', 'threshold=NaN', 'threshold=.1&threshold=.2', 'treshold=.2'])(
    '400 for ?%s',
    async (query) => {
      expect((await post(png, type, `?${query}`)).statusCode).toBe(400);
    },
  );

  it.each([
    ['text', 'image', { 'content-type': 'text/plain' }, 'FST_ERR_CTP_INVALID_MEDIA_TYPE'],
    ['JSON', '{}', { 'content-type': 'application/json' }, 'FST_ERR_CTP_INVALID_MEDIA_TYPE'],
    ['a body without a type', 'image', {}, 'FST_ERR_CTP_INVALID_MEDIA_TYPE'],
    ['nothing at all', '', {}, 'NO_IMAGE'],
    ['an empty body', '', type, 'IMAGE_UNREADABLE'],
    ['bytes that are no image', 'image', type, 'IMAGE_UNSUPPORTED'],
    ['a GIF', 'GIF89a......', type, 'IMAGE_UNSUPPORTED'],
    ['a truncated image', () => png.subarray(0, png.length / 2), type, 'IMAGE_UNREADABLE'],
  ] as const)('415 for %s', async (_, payload, headers, code) => {
    const reply = await post(typeof payload === 'function' ? payload() : payload, { ...headers } as typeof type);
    expect([reply.statusCode, reply.json().code]).toEqual([415, code]);
  });

  it('413 for a file above the limit, and for a small one that unpacks to 900 megapixels', async () => {
    const large = await post(Buffer.alloc(200_001));
    expect([large.statusCode, large.json().code]).toEqual([413, 'FST_ERR_CTP_BODY_TOO_LARGE']);
    const small = bomb(30_000);
    expect(small.length).toBeLessThan(200_000);
    const unpacked = await post(small);
    expect([unpacked.statusCode, unpacked.json().code]).toEqual([413, 'IMAGE_TOO_LARGE']);
    // The same image in a size that is allowed is one.
    expect((await post(bomb(100))).statusCode).toBe(200);
  });

  it('404 for another place or method, and says when it is well', async () => {
    expect((await service.inject('/detect')).statusCode).toBe(404);
    expect((await service.inject({ method: 'POST', url: '/' })).statusCode).toBe(404);
    expect((await service.inject('/health')).json()).toEqual({ status: 'ok', accepted: 0 });
  });
});

describe('through a socket, with a detector that waits to be released', () => {
  let service: FastifyInstance;
  let port: number;
  let releases: ((error?: Error) => void)[];
  const agent = new Agent({ keepAlive: true });

  async function start(options: ServiceOptions): Promise<void> {
    releases = [];
    const detect = () =>
      new Promise((resolve, reject) => {
        releases.push((error) => (error ? reject(error) : resolve([])));
      });
    service = createService({ detect } as unknown as Detector, options);
    await service.listen({ port: 0, host: '127.0.0.1' });
    port = (service.server.address() as AddressInfo).port;
  }
  afterEach(async () => {
    for (const release of releases) release();
    agent.destroy();
    await service.close();
  });

  interface Reply {
    status: number | undefined;
    retryAfter: string | undefined;
    body: string;
  }

  function post(): { sent: ClientRequest; reply: Promise<Reply> } {
    const sent = request({ port, method: 'POST', path: '/detect', headers: type, agent });
    const reply = new Promise<Reply>((resolve, reject) => {
      sent.on('error', reject);
      sent.on('response', async (response) => {
        const body = (await response.toArray()).join('');
        resolve({ status: response.statusCode, retryAfter: response.headers['retry-after'], body });
      });
    });
    sent.end('image');
    return { sent, reply };
  }

  const until = (condition: () => unknown) => expect.poll(condition, { timeout: 20_000 });

  it('429 with Retry-After beyond what may wait, and takes more when one is answered', async () => {
    await start({ concurrency: 1, maxWaiting: 1 });
    const first = post();
    await until(() => releases.length).toBe(1);
    const second = post();
    await until(() => accepted(port)).toBe(2);
    const refused = await post().reply;
    expect(refused).toMatchObject({ status: 429, retryAfter: '1' });
    expect(JSON.parse(refused.body).code).toBe('QUEUE_FULL');

    expect(releases.length).toBe(1); // the second has not begun
    releases[0]!();
    expect((await first.reply).status).toBe(200);
    await until(() => releases.length).toBe(2);
    const third = post();
    await until(() => accepted(port)).toBe(2);
    releases[1]!();
    expect((await second.reply).status).toBe(200);
    await until(() => releases.length).toBe(3);
    releases[2]!();
    expect((await third.reply).status).toBe(200);
    await until(() => accepted(port)).toBe(0);
  });

  it('never begins the detection of a client that went away while it waited', async () => {
    await start({ concurrency: 1, maxWaiting: 2 });
    const first = post();
    await until(() => releases.length).toBe(1);
    const gone = post();
    gone.reply.catch(() => {});
    await until(() => accepted(port)).toBe(2);
    const last = post();
    await until(() => accepted(port)).toBe(3);
    gone.sent.destroy();
    await until(() => accepted(port)).toBe(2);
    releases[0]!();
    expect((await first.reply).status).toBe(200);
    await until(() => releases.length).toBe(2);
    releases[1]!();
    expect((await last.reply).status).toBe(200);
    expect(releases.length).toBe(2);
  });

  it('a failure of its own is a 500 that tells nothing, memory that ran out a 503; both go on', async () => {
    await start({ concurrency: 1 });
    const fail = async (error: Error) => {
      const { reply } = post();
      const begun = releases.length;
      await until(() => releases.length).toBe(begun + 1);
      releases[begun]!(error);
      return await reply;
    };
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    onTestFinished(() => log.mockRestore());
    const failed = await fail(Object.assign(new Error('secret'), { code: 'NATIVE_ERROR' }));
    expect(failed.status).toBe(500);
    expect(failed.body).not.toContain('secret');
    expect(log).toHaveBeenCalledOnce();
    expect((await fail(Object.assign(new Error('small'), { code: 'OUT_OF_MEMORY' }))).status).toBe(503);
    expect(await accepted(port)).toBe(0);
  });

  it('a shutdown answers what was accepted, 503 to all else, and waits for no connection that is silent', async () => {
    await start({ concurrency: 1 });
    const first = post();
    await until(() => releases.length).toBe(1);
    const second = post();
    await until(() => accepted(port)).toBe(2);
    const silent = connect(port, '127.0.0.1');
    await once(silent, 'connect');

    const closed = service.close().then(() => 'closed');
    await until(async () => (await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(503);
    expect((await post().reply).status).toBe(503);
    releases[0]!();
    expect((await first.reply).status).toBe(200);
    await until(() => releases.length).toBe(2);
    releases[1]!();
    expect((await second.reply).status).toBe(200);
    expect(await Promise.race([closed, sleep(20_000, 'open', { ref: false })])).toBe('closed');
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow('fetch failed');
    silent.destroy();
  });
});

async function accepted(port: number | string): Promise<number> {
  const reply = await fetch(`http://127.0.0.1:${port}/health`);
  return ((await reply.json()) as { accepted: number }).accepted;
}

/** Runs examples/server.ts until it listens. */
async function startServer(args: string[]): Promise<{ port: string; child: ChildProcess; ended: Promise<Run> }> {
  let child: ChildProcess | undefined;
  let onListening = (_port: string) => {};
  const listening = new Promise<string>((resolve) => {
    onListening = resolve;
  });
  const ended = node(['examples/server.ts', ...args], {
    onStart: (started) => {
      child = started;
      started.stdout!.on('data', (text) => {
        const port = /^Listening on .*:(\d+)$/m.exec(String(text))?.[1];
        if (port) onListening(port);
      });
    },
  });
  onTestFinished(() => void child!.kill('SIGKILL'));
  const port = await Promise.race([listening, ended.then(({ error }) => expect.fail(error))]);
  return { port, child: child!, ended };
}

describe('the programs', () => {
  it('server.ts answers under load, and after SIGTERM what it had accepted', async () => {
    const folder = await temporaryFolder();
    const image = join(folder, 'noise.png');
    await noise(90, 70).toFile(image);
    await using detector = await Detector.create(small);
    await detector.save(join(folder, 'checkpoint'));

    const { port, ended, child } = await startServer([join(folder, 'checkpoint'), '--port', '0']);
    const load = await node(['examples/server-load.ts', image, '--port', port, '--seconds', '30', '--requests', '40']);
    expect(load.code, load.error).toBe(0);
    expect(load.out).toMatch(
      /^[\d.]+ requests\/s\nlatency ms: p50 \d+, p97\.5 \d+, p99 \d+\nstatus 200: \d+\nfailed connections: 0\n$/,
    );

    // Clients that go on until they are refused.
    const body = await readFile(image);
    const whole: unknown[] = [];
    const client = async () => {
      for (;;) {
        const reply = await fetch(`http://127.0.0.1:${port}/detect`, { method: 'POST', headers: type, body });
        const keys = Object.keys((await reply.json()) as object);
        if (reply.status !== 200) return reply.status;
        whole.push(keys);
      }
    };
    const clients = Array.from({ length: 4 }, client);
    await expect.poll(() => whole.length, { timeout: 20_000 }).toBeGreaterThan(4);
    child.kill('SIGTERM');
    // What came too late has a 503, or no connection any more; every answer is whole.
    for (const end of await Promise.allSettled(clients)) {
      if (end.status === 'fulfilled') expect(end.value).toBe(503);
      else expect(end.reason.message).toBe('fetch failed');
    }
    expect(whole).toEqual(whole.map(() => ['detections']));
    expect((await ended).code).toBe(0);
  });

  it('server.ts ends with a clear message without a checkpoint', async () => {
    const run = await node(['examples/server.ts', '/no/such/checkpoint']);
    expect(run.code).toBe(1);
    expect(run.error).toContain('CHECKPOINT_NOT_FOUND');
  });
});
