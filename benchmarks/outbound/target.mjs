// The far end of the benchmark, run in a pod: GET /bytes/N, GET /small, POST /sink (answers with the number of bytes it got).
import http from 'node:http';

const block = Buffer.alloc(256 * 1024, 'x');

const server = http.createServer((request, response) => {
  const [, verb, argument] = request.url.split('/');
  if (verb === 'bytes') {
    let left = Number(argument);
    response.writeHead(200, { 'content-length': left });
    const more = () => {
      while (left > 0) {
        const part = left < block.length ? block.subarray(0, left) : block;
        left -= part.length;
        if (!response.write(part)) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    return more();
  }
  if (verb === 'sink') {
    let count = 0;
    request.on('data', (chunk) => {
      count += chunk.length;
    });
    return request.on('end', () => response.end(String(count)));
  }
  return response.end('ok');
});
server.keepAliveTimeout = 600_000;
server.listen(8080);
process.on('SIGTERM', () => process.exit());
