// A service that answers images with their objects:
//   npx tsx examples/server.ts CHECKPOINT [--port 8080] [--host 127.0.0.1]
//   curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' 'http://127.0.0.1:8080/detect?threshold=0.3'
import { parseArgs } from 'node:util';
import { Detector } from 'dinov3-det';
import { createService } from './detection-service.ts';

const SHUTDOWN_MS = 10_000;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { port: { type: 'string', default: '8080' }, host: { type: 'string', default: '127.0.0.1' } },
});

const detector = await Detector.load(positionals[0] ?? 'runs/example/best');
const service = createService(detector);
const address = await service.listen({ port: Number(values.port), host: values.host });

// What was accepted is answered; then the process has nothing left to do, and ends with 0.
let isClosing = false;
async function shutDown(): Promise<void> {
  if (isClosing) return; // Ctrl-C under npx comes twice
  isClosing = true;
  setTimeout(() => {
    console.error(`Not done after ${SHUTDOWN_MS / 1000} seconds: given up`);
    process.exit(1);
  }, SHUTDOWN_MS).unref();
  await service.close();
  detector.dispose();
}
process.on('SIGTERM', shutDown);
process.on('SIGINT', shutDown);

console.log(`Listening on ${address}`);
