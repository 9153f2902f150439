// A service of the playground's shop: says who it is and what it saw, then asks the next one. An ordinary program; it runs in the
// pods gateway, orders, stock and vault, told apart by variables.
//   GET /            JSON: name, pod, version, method, url, headers, remote, and the answer of the next
//   POST /echo       the request's body
//   GET /bytes/N     N bytes
//   GET /status/N    an answer with status N
//   GET /healthz     ok
import http from 'node:http';
import net from 'node:net';
import { hostname } from 'node:os';

const { NAME = 'shop', NEXT, DATABASE, VERSION = 'v1', PORT = '8080' } = process.env;
const BYTES_MAX = 1024 ** 3;
const block = Buffer.alloc(64 * 1024, 'x');

function passedOn(headers) {
  const names = Object.keys(headers).filter(
    (key) => key.startsWith('x-') || key === 'baggage' || key === 'traceparent' || key === 'tracestate',
  );
  return Object.fromEntries(names.map((name) => [name, headers[name]]));
}

async function askNext(headers) {
  try {
    // A connection of its own each time: one that is kept alive would stay with the pod that answered first (docs/exchange.md).
    const sent = { ...passedOn(headers), connection: 'close' };
    const response = await fetch(NEXT, { headers: sent, signal: AbortSignal.timeout(5000) });
    return await response.json();
  } catch (error) {
    return { error: String(error.cause?.code ?? error.message), url: NEXT };
  }
}

/** One line to the database, one line back. */
function askDatabase(line) {
  const [host, port] = DATABASE.split(':');
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect(Number(port), host, () => socket.end(`${line}\n`));
    socket.setEncoding('utf8');
    socket.setTimeout(5000, () => socket.destroy());
    socket.on('data', (chunk) => (text += chunk));
    socket.on('error', (error) => resolve(`error: ${error.code}`));
    socket.on('close', () => resolve(text.trim()));
  });
}

function sendBytes(response, count) {
  let left = Math.min(count, BYTES_MAX);
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': left });
  const more = () => {
    while (left > 0) {
      const part = block.subarray(0, Math.min(left, block.length));
      left -= part.length;
      if (!response.write(part)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}

async function describe(request) {
  const [next, inStock] = await Promise.all([
    NEXT ? askNext(request.headers) : undefined,
    DATABASE ? askDatabase('GET apples') : undefined,
  ]);
  return {
    name: NAME,
    pod: hostname(),
    version: VERSION,
    method: request.method,
    url: request.url,
    headers: request.headers,
    remote: request.socket.remoteAddress,
    ...(inStock === undefined ? {} : { apples: inStock }),
    ...(next === undefined ? {} : { next }),
  };
}

const server = http.createServer((request, response) => {
  const [, verb, argument] = request.url.split('/');
  if (verb === 'healthz') response.end('ok');
  else if (verb === 'bytes') sendBytes(response, Number(argument) || 0);
  else if (verb === 'echo') request.pipe(response);
  else if (verb === 'status') response.writeHead(Number(argument) || 500).end();
  else
    describe(request).then(
      (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`),
      (error) => response.writeHead(500).end(`${error.message}\n`),
    );
});
server.keepAliveTimeout = 60_000;
server.listen(Number(PORT), () => console.log(`${NAME} ${VERSION} on ${PORT}`));
process.on('SIGTERM', () => process.exit());
