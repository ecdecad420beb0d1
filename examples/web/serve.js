// Serves this page and the two packages that it loads, to this computer alone. In this folder:
//   npm install --ignore-scripts
//   npm start                     then open http://127.0.0.1:8080
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const types = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
};
const headers = {
  // The page may load its own files, and send nothing anywhere.
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; worker-src 'self' blob:; " +
    "img-src 'self' blob: data:; media-src blob:; base-uri 'none'; form-action 'none'",
  // With these two, WebAssembly may use several threads.
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cache-Control': 'no-cache',
};

/** The file of an address, which is the page's or a module's. */
function fileOf(url) {
  const path = normalize(decodeURIComponent(new URL(url, 'http://localhost').pathname));
  if (path.endsWith('/')) return join(import.meta.dirname, path, 'index.html');
  return types[extname(path)] && join(import.meta.dirname, path);
}

const server = createServer((request, response) => {
  const file = fileOf(request.url);
  const found = file && statSync(file, { throwIfNoEntry: false })?.isFile();
  if (!found) return response.writeHead(404, headers).end('There is no such file');
  response.writeHead(200, { ...headers, 'Content-Type': types[extname(file)] });
  return createReadStream(file).pipe(response);
});
const port = Number(process.env.PORT ?? 8080);
server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
