// Loads a service of examples/server.ts on this machine, for a time and a number of requests that both have an end:
//   npx tsx examples/server-load.ts photo.jpg [--port 8080] [--connections 4] [--seconds 10] [--requests 100000]
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

interface LoadResult {
  requests: { average: number };
  latency: { p50: number; p97_5: number; p99: number };
  statusCodeStats: Record<string, { count: number }>;
  errors: number;
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '8080' },
    connections: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '10' },
    requests: { type: 'string', default: '100000' },
  },
});
const autocannon = createRequire(import.meta.url)('autocannon'); // it has no types

const { requests, latency, statusCodeStats, errors }: LoadResult = await autocannon({
  url: `http://127.0.0.1:${Number(values.port)}/detect`,
  method: 'POST',
  headers: { 'content-type': 'image/jpeg' },
  body: await readFile(positionals[0] ?? 'examples/bccd-detections.jpg'),
  connections: Number(values.connections),
  duration: Math.min(60, Number(values.seconds)),
  maxOverallRequests: Number(values.requests),
});
console.log(`${requests.average.toFixed(1)} requests/s`);
console.log(`latency ms: p50 ${latency.p50}, p97.5 ${latency.p97_5}, p99 ${latency.p99}`);
for (const [status, { count }] of Object.entries(statusCodeStats)) console.log(`status ${status}: ${count}`);
console.log(`failed connections: ${errors}`);
