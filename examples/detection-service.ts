import type { Detection, Detector } from 'dinov3-det';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';

export interface ServiceOptions {
  /** Images that are decoded or in the model at a time, so that a decoder works beside the model; default 2. */
  concurrency?: number;
  /** Requests that may wait for that; default 32. With `maxBodyBytes` and the library's 50 megapixels it bounds the memory. */
  maxWaiting?: number;
  /** Of an image's file; default 16 MiB. */
  maxBodyBytes?: number;
}

const imageTypes = ['image/jpeg', 'image/png', 'image/webp'];

/** What a failure of the library is in HTTP; every other one is a 500. */
const statusOf = new Map([
  ['IMAGE_UNREADABLE', 415],
  ['IMAGE_UNSUPPORTED', 415],
  ['IMAGE_TOO_LARGE', 413],
  ['OUT_OF_MEMORY', 503],
]);

const query = {
  type: 'object',
  properties: { threshold: { type: 'number', minimum: 0, maximum: 1 } },
  additionalProperties: false,
};

/** `POST /detect?threshold=0.3` with an image as body gives `{ detections: [{ label, score, box }] }`; `GET /health` how busy it is. */
export function createService(detector: Pick<Detector, 'detect'>, options: ServiceOptions = {}): FastifyInstance {
  const { concurrency = 2, maxWaiting = 32, maxBodyBytes = 16 * 1024 ** 2 } = options;
  const inTurn = createTurns(concurrency);
  let accepted = 0;
  let onIdle = () => {};

  const app = Fastify({
    bodyLimit: maxBodyBytes,
    requestTimeout: 30_000, // a slow upload keeps its place no longer
    forceCloseConnections: true,
    pluginTimeout: 0, // it would cut the shutdown short: that has a deadline of its own, in server.ts
    ajv: { customOptions: { removeAdditional: false } }, // an unknown parameter is an error
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(imageTypes, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  // Accepted or refused before its body is read: what is refused costs nothing.
  const admit = async (_request: unknown, reply: FastifyReply) => {
    if (accepted >= concurrency + maxWaiting) {
      reply.header('Retry-After', '1');
      throw httpError(429, 'QUEUE_FULL', 'Too many images are waiting; try again later');
    }
    accepted++;
    reply.raw.once('close', () => {
      accepted--;
      if (accepted === 0) onIdle();
    });
  };

  app.get('/health', async () => ({ status: 'ok', accepted }));

  app.post<{ Querystring: { threshold?: number } }>(
    '/detect',
    { onRequest: admit, schema: { querystring: query } },
    async ({ body, query: { threshold } }, reply): Promise<{ detections: Detection[] }> => {
      if (!Buffer.isBuffer(body)) throw httpError(415, 'NO_IMAGE', `Send an image as ${imageTypes.join(', ')}`);
      const limits = threshold === undefined ? {} : { scoreThreshold: threshold };
      const signal = goneSignal(reply);
      return { detections: await inTurn(() => detector.detect(body, { ...limits, signal }), signal) };
    },
  );

  // A shutdown first answers what was accepted, and 503 to all else; then it closes every connection, also those kept for later.
  app.addHook('preClose', async () => {
    if (accepted > 0) {
      await new Promise<void>((resolve) => {
        onIdle = resolve;
      });
    }
  });

  app.setErrorHandler(async (error: Error & { code?: string; statusCode?: number }, _request, reply) => {
    const status = statusOf.get(error.code ?? '') ?? error.statusCode ?? 500;
    if (status === 500 && error.name !== 'AbortError') console.error(error);
    const message = status === 500 ? 'Internal error' : error.message;
    return reply.code(status).send({ statusCode: status, code: error.code, message });
  });
  return app;
}

/** Runs so many tasks at a time, the others in the order in which they came; one whose signal aborts while it waits is never begun. */
function createTurns(concurrency: number) {
  const waiting = new Set<() => void>();
  let running = 0;

  const turn = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      waiting.add(resolve);
      signal.addEventListener('abort', () => waiting.delete(resolve) && reject(signal.reason));
    });

  return async <T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    signal.throwIfAborted();
    if (running < concurrency) running++;
    else await turn(signal);
    try {
      return await task();
    } finally {
      const [next] = waiting;
      if (next && waiting.delete(next)) next();
      else running--;
    }
  };
}

/** Aborts when the client went away before it had its answer. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  if (raw.destroyed) controller.abort();
  raw.once('close', () => raw.writableFinished || controller.abort());
  return controller.signal;
}

function httpError(statusCode: number, code: string, message: string): Error {
  return Object.assign(new Error(message), { statusCode, code });
}
