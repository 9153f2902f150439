// A Node program as a user has it: knows nothing of kt. Does what the test asks for and prints one JSON line per check:
// {"check", "ok": value} or {"check", "error": code, "message"}. Started by test/shims/node.test.ts under the shim.
import { execFile } from 'node:child_process';
import dns, { lookup } from 'node:dns';
import promises, { Resolver } from 'node:dns/promises';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

const { ORDERS, POD, REFUSED, SILENT, PUBLIC_PORT } = process.env;

const body = (url, options = {}) =>
  new Promise((resolve, reject) => {
    const request = http.get(url, options, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
const service = async (text) => JSON.parse(await text).service;
const fetched = async (url, options) => service((await fetch(url, options)).text());

/** Connects, echoes, and tells whom the program believes to talk to. */
const echo = (options) =>
  new Promise((resolve, reject) => {
    const socket = net.connect(options, () => socket.end('ping'));
    let text = '';
    socket.on('data', (chunk) => (text += chunk));
    socket.on('end', () => resolve(`${text} ${socket.remoteAddress}:${socket.remotePort}`));
    socket.on('error', reject);
  });

const worker = (code) =>
  new Promise((resolve, reject) => {
    const thread = new Worker(code, { eval: true });
    thread.on('message', resolve);
    thread.on('error', reject);
  });

const DATABASE = '_db._tcp.orders.shop.svc';
const srv = (records) => records.map(({ name, port }) => `${name}:${port}`);
/** A method of the callback kind as one with a promise. */
const bound = (resolver, method) => promisify(resolver[method]).bind(resolver);

const checks = {
  'dns.lookup': () => promisify(dns.lookup)('orders.shop'),
  'dns.lookup all': () => promisify(dns.lookup)('orders', { all: true }),
  'dns.lookup by callback': () =>
    new Promise((resolve) => dns.lookup('orders', 4, (_, address, family) => resolve([address, family]))),
  'dns.lookup family 6': () => promisify(dns.lookup)('orders', { family: 6 }),
  'dns.lookup imported by name': () => new Promise((resolve) => lookup('orders', (_, address) => resolve(address))),
  'dns.promises.lookup': () => promises.lookup('Orders.Shop.SVC.cluster.local.'),
  'dns.resolve4': () => promisify(dns.resolve4)('orders'),
  'dns.resolve by type': () => promisify(dns.resolve)('orders', 'A'),
  'dns.promises.resolve4 ttl': () => promises.resolve4('orders', { ttl: true }),
  'dns.promises.resolve6': () => promises.resolve6('orders'),
  'new Resolver().resolve4': () => new Resolver().resolve4('orders'),
  'dns.resolveSrv': async () => srv(await promisify(dns.resolve)(DATABASE, 'SRV')),
  'dns.reverse': () => promises.reverse(POD),
  'dns.reverse by callback': () => promisify(dns.reverse)(POD),
  'dns.Resolver reverse': () => bound(new dns.Resolver(), 'reverse')(POD),
  'dns.resolve6 ttl': () => promisify(dns.resolve6)('six', { ttl: true }),
  'dns.resolveSrv by callback': async () => srv(await promisify(dns.resolveSrv)(DATABASE)),
  'dns.promises.resolveSrv': async () => srv(await promises.resolveSrv(DATABASE)),
  'dns.Resolver resolveSrv': async () => srv(await bound(new dns.Resolver(), 'resolveSrv')(DATABASE)),
  'dns.promises.Resolver resolve SRV': async () => srv(await new Resolver().resolve(DATABASE, 'SRV')),
  'dns.Resolver resolve4': () => bound(new dns.Resolver(), 'resolve4')('orders.shop'),
  'dns.resolveTxt': () => promisify(dns.resolveTxt)('orders.shop.svc'),
  'dns.promises.resolve TXT': () => promises.resolve('orders.shop.svc', 'TXT'),
  'dns.resolveCname': () => promises.resolveCname('alias.shop.svc'),
  'dns.resolvePtr, not there': () => promises.resolvePtr('orders.shop.svc'),
  'dns.resolveAny, not there': () => promisify(dns.resolveAny)('orders.shop.svc'),
  'dns.resolve ANY, not there': () => promises.resolve('orders.shop.svc', 'ANY'),
  'dns.resolveMx, not there': () => promises.resolveMx('orders.shop.svc'),
  'dns.Resolver resolve NS, not there': () => bound(new dns.Resolver(), 'resolve')('orders.shop.svc', 'NS'),
  'SRV of an unknown name': () => promises.resolveSrv('_db._tcp.nope.shop.svc'),
  'a Resolver with servers of its own': () => {
    const resolver = new Resolver({ timeout: 200, tries: 1 });
    resolver.setServers(['127.0.0.1:1']);
    return resolver.resolveSrv(DATABASE);
  },
  'unknown name': () => promises.lookup('nope.shop.svc'),
  'localhost is untouched': async () => (await promises.lookup('localhost', 4)).address,
  'a wrong argument throws as ever': () => dns.lookup(1, () => {}),

  'net.connect by name': () => echo({ host: 'orders', port: 7000 }),
  'net.connect by address': () => echo({ host: ORDERS, port: 7000 }),
  'net.connect mapped address': () => echo({ host: `::ffff:${ORDERS}`, port: 7000 }),
  'net.connect without happy eyeballs': () => echo({ host: 'orders', port: 7000, autoSelectFamily: false }),
  'net.connect with own lookup': () =>
    echo({
      host: 'x',
      port: 7000,
      lookup: (_, options, done) =>
        options.all ? done(null, [{ address: ORDERS, family: 4 }]) : done(null, ORDERS, 4),
    }),
  'net.connect by a name that leads out of the networks': () => fetched('http://outside/'),
  'a socket used twice': async () => {
    const socket = new net.Socket();
    for (let i = 0; i < 2; i += 1) {
      socket.connect(7000, ORDERS);
      socket.end('x');
      socket.resume();
      await new Promise((resolve, reject) => socket.once('close', resolve).once('error', reject));
      socket.removeAllListeners('error');
    }
    return 'twice';
  },
  'http.get': () => service(body('http://orders/')),
  'http.get with an agent': async () => {
    const agent = new http.Agent({ keepAlive: true });
    const first = await service(body('http://orders/', { agent }));
    const second = await service(body('http://orders/', { agent }));
    agent.destroy();
    return [first, second];
  },
  'http2.connect': () =>
    new Promise((resolve, reject) => {
      const session = http2.connect('http://orders:7000');
      session.on('connect', () => resolve('connected'));
      session.on('error', reject);
      setImmediate(() => session.on('connect', () => session.destroy()));
    }),
  'fetch by name': () => fetched('http://orders.shop.svc.cluster.local/'),
  'fetch by pod address': () => fetched(`http://${POD}:8080/`),
  'fetch 20 at once': async () =>
    (await Promise.all(Array.from({ length: 20 }, () => fetched('http://orders/')))).length,
  'fetch outside of the cluster': async () => (await fetch(`http://127.0.0.1:${PUBLIC_PORT}/`)).text(),
  'worker thread': () =>
    worker(
      `fetch('http://orders/').then((r) => r.json()).then((j) => require('node:worker_threads').parentPort.postMessage(j.service))`,
    ),
  'child process': async () => {
    const code = `fetch('http://orders/').then((r) => r.json()).then((j) => console.log(j.service))`;
    return (await promisify(execFile)(process.execPath, ['-e', code])).stdout.trim();
  },

  'refused address': () => echo({ host: REFUSED, port: 80 }),
  'refused name, happy eyeballs': () => echo({ host: 'refused', port: 80 }),
  'fetch refused': () => fetch('http://refused/').catch((error) => Promise.reject(error.cause)),
  'destroyed while dialling': () =>
    new Promise((resolve) => {
      const socket = net.connect(80, SILENT);
      socket.on('close', (failed) => resolve(`closed, failed: ${failed}`));
      setImmediate(() => socket.destroy());
    }),
  'timeout while dialling': () =>
    new Promise((resolve) => {
      const socket = net.connect({ host: SILENT, port: 80, timeout: 50 });
      socket.on('timeout', () => socket.destroy());
      socket.on('close', () => resolve('closed'));
    }),
  'aborted while dialling': () => fetch(`http://${SILENT}/`, { signal: AbortSignal.timeout(50) }),
  'an unreferenced socket does not keep the program': () => {
    net.connect(80, SILENT).unref();
    return 'no wait';
  },
};

const wanted = process.argv.slice(2);
for (const [check, run] of Object.entries(checks)) {
  if (wanted.length > 0 ? !wanted.includes(check) : check.includes('unreferenced')) continue;
  try {
    console.log(JSON.stringify({ check, ok: await run() }));
  } catch (error) {
    console.log(JSON.stringify({ check, error: error.code ?? error.name, message: error.message }));
  }
}
// undici goes on with a connect whose request was aborted, for up to 10 s.
if (wanted.length === 0) process.exit();
