// The callers of the inbound benchmark, run in a pod: SETTINGS = { host, connections, requests | ms, headers, fresh }. Bare sockets that know
// the length of an answer after the first one, so that the caller costs as little as it can. Prints one JSON object.
import net from 'node:net';

const { host, connections = 1, requests = Infinity, ms = Infinity, headers = {}, warm = 50 } = globalThis.SETTINGS;
const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
const request = Buffer.from(
  `GET /x HTTP/1.1\r\nHost: ${host}\r\nAccept: application/json\r\nUser-Agent: bench\r\n${fields.join('')}\r\n`,
);

let failed = 0;
let done = 0;
let who = '';
const times = [];

/** One kept-alive connection; resolves when it has asked enough. */
function caller(count, end) {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port: 80, noDelay: true });
    let length = 0;
    let got = 0;
    let left = warm + count;
    let warming = warm;
    let began = 0;
    const next = () => {
      left -= 1;
      if (left < 0 || performance.now() > end) {
        socket.destroy();
        return;
      }
      began = performance.now();
      socket.write(request);
    };
    socket.on('connect', next);
    socket.on('data', (chunk) => {
      if (got === 0 && chunk.toString('latin1', 0, 12) !== 'HTTP/1.1 200') failed += 1;
      got += chunk.length;
      if (length === 0) {
        const text = chunk.toString('latin1');
        length = text.indexOf('\r\n\r\n') + 4 + Number(/content-length: (\d+)/i.exec(text)[1]);
        who = /"name":"([^"]+)"/.exec(text)?.[1] ?? '';
      }
      if (got < length) return;
      got = 0;
      if (warming > 0) warming -= 1;
      else {
        done += 1;
        times.push(performance.now() - began);
      }
      next();
    });
    socket.on('error', () => (failed += 1));
    socket.on('close', () => {
      if (left >= 0 && performance.now() < end) failed += 1;
      resolve();
    });
  });
}

const started = performance.now();
await Promise.all(Array.from({ length: connections }, () => caller(requests, started + ms)));
const seconds = (performance.now() - started) / 1000;
times.sort((a, b) => a - b);
const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
console.log(JSON.stringify({ perSecond: done / seconds, p50: at(0.5), p99: at(0.99), done, failed, who }));
process.exit(0);
