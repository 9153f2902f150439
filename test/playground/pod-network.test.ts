// The network between pods, seen by programs in them: names, addresses, ports, sources, UDP, and what does not exist. The programs are
// ordinary Node ones; each writes what it found as JSON.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { type Json, nodePod, PlaygroundClient } from '../support/playground-client.ts';

const PODS = '/api/v1/namespaces/shop/pods';
const SERVICES = '/api/v1/namespaces/shop/services';

let playground: Playground;
let client: PlaygroundClient;
let serverIp: string;
let serviceIp: string;

/** HTTP on 8080 (says who asks), TCP that counts to the end on 7002, one on loopback only, one on the pod's address only, UDP echo on 7000. */
const SERVER = `
  const http = require('node:http'), net = require('node:net'), dgram = require('node:dgram'), os = require('node:os');
  const ip = os.networkInterfaces().eth0[0].address;
  const web = http.createServer((q, s) => s.end(JSON.stringify({ pod: os.hostname(), from: q.socket.remoteAddress, at: q.socket.localAddress, port: q.socket.localPort, host: q.headers.host })));
  const count = net.createServer({ allowHalfOpen: true }, (s) => { let n = 0; s.on('error', () => {}); s.on('data', (d) => { n += d.length; }); s.on('end', () => s.end(String(n))); });
  const inner = net.createServer((s) => s.end('loopback'));
  const own = net.createServer((s) => s.end('own'));
  const udp = dgram.createSocket('udp4', (message, from) => udp.send('echo ' + message, from.port, from.address));
  web.listen(8080, () => count.listen(7002, '0.0.0.0', () => inner.listen(9001, '127.0.0.1', () => own.listen(9002, ip, () => udp.bind(7000, () =>
    console.log(JSON.stringify({ web: web.address(), count: count.address(), inner: inner.address(), own: own.address(), udp: udp.address() })))))));`;

beforeAll(async () => {
  playground = await startPlayground({ shop: false });
  client = new PlaygroundClient(playground);
  const container = {
    ports: [
      { name: 'http', containerPort: 8080 },
      { name: 'count', containerPort: 7002 },
      { name: 'echo', containerPort: 7000, protocol: 'UDP' },
    ],
    readinessProbe: { tcpSocket: { port: 9002 } },
  };
  const pod = nodePod('server-0', SERVER, { hostname: 'server-0', subdomain: 'direct' }, container);
  await client.post(PODS, { ...pod, metadata: { name: 'server-0', labels: { app: 'server' } } });
  const selector = { app: 'server' };
  const service = await client.post(SERVICES, {
    metadata: { name: 'web' },
    spec: {
      selector,
      ports: [
        { name: 'http', port: 80, targetPort: 'http' },
        { name: 'count', port: 7100, targetPort: 7002 },
        { name: 'none', port: 81, targetPort: 'no-such-port' },
        { name: 'echo', port: 7000, protocol: 'UDP' },
      ],
    },
  });
  serviceIp = service.body.spec.clusterIP;
  await client.post(SERVICES, {
    metadata: { name: 'direct' },
    spec: { selector, clusterIP: 'None', ports: [{ name: 'http', port: 8080 }] },
  });
  await client.post(SERVICES, {
    metadata: { name: 'empty' },
    spec: { selector: { app: 'nobody' }, ports: [{ port: 80 }] },
  });
  await client.post(SERVICES, {
    metadata: { name: 'alias' },
    spec: { type: 'ExternalName', externalName: 'web.shop.svc.cluster.local' },
  });
  serverIp = (await client.podReady('shop', 'app=server')).status.podIP;
  // The Service knows its pod when the endpoints say so.
  await client.until(
    '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb',
    (slice, type) => type !== 'DELETED' && slice.endpoints?.some((one: Json) => one.conditions.ready),
  );
});
afterAll(async () => {
  client.close();
  await playground.close();
});

let count = 0;

/** Runs an async program (its value is what `return`s) in a pod and gives that value. */
async function inPod(body: string, namespace = 'shop'): Promise<Json> {
  count += 1;
  const name = `probe-${count}`;
  const code = `
    import net from 'node:net'; import dns, { lookup } from 'node:dns'; import dnsPromises, { Resolver, resolve4, resolveSrv, reverse } from 'node:dns/promises';
    import http from 'node:http'; import dgram from 'node:dgram'; import os from 'node:os'; import { once } from 'node:events'; import { promisify } from 'node:util';
    import { Worker } from 'node:worker_threads'; import { execFileSync } from 'node:child_process';
    const get = async (url) => (await fetch(url)).json();
    const read = (port, host, say) => new Promise((resolve) => { let text = ''; const s = net.connect({ port, host }, () => { if (say !== undefined) s.end(say); }); s.on('data', (d) => { text += d; }); s.on('error', (e) => resolve(e.code + ' ' + e.message)); s.on('close', () => resolve(text)); });
    const attempt = async (act) => { try { return await act(); } catch (error) { return error.code; } };
    const target = ${JSON.stringify({ server: serverIp, service: serviceIp })};
    console.log(JSON.stringify(await (async () => { ${body} })()));`;
  const pod = nodePod(name, '', {}, { command: ['node', '--input-type=module', '-e', code] });
  const made = await client.post(`/api/v1/namespaces/${namespace}/pods`, pod);
  expect(made.code).toBe(201);
  const ended = await client.until(`/api/v1/namespaces/${namespace}/pods?fieldSelector=metadata.name=${name}`, (one) =>
    /Succeeded|Failed/.test(one.status.phase),
  );
  const log = await client.log(namespace, name);
  expect({ phase: ended.status.phase, log: ended.status.phase === 'Succeeded' ? '' : log }).toEqual({
    phase: 'Succeeded',
    log: '',
  });
  return { ip: ended.status.podIP, value: JSON.parse(log) };
}

describe('TCP', () => {
  test('by every name and address, with the pod as the source', async () => {
    const { ip, value } = await inPod(`
      const hosts = ['web', 'web.shop', 'web.shop.svc', 'web.shop.svc.cluster.local', 'alias', target.service];
      const answers = await Promise.all(hosts.map((host) => get('http://' + host + '/')));
      const direct = await Promise.all(['direct', 'server-0.direct', 'server-0.direct.shop.svc.cluster.local', target.server].map((host) => get('http://' + host + ':8080/')));
      return { answers, direct };`);
    expect(value.answers).toHaveLength(6);
    expect(value.direct).toHaveLength(4);
    for (const answer of [...value.answers, ...value.direct])
      expect(answer).toMatchObject({ pod: 'server-0', from: ip, at: serverIp, port: 8080 });
    expect(value.answers[1].host).toBe('web.shop');
  });

  test('port ≠ targetPort, half-close, http.get, a worker and a child process', async () => {
    const { value } = await inPod(`
      const counted = await read(7100, 'web', 'x'.repeat(100000));
      const byHttp = await new Promise((resolve, reject) => http.get('http://web/', (r) => { let t = ''; r.on('data', (d) => { t += d; }); r.on('end', () => resolve(JSON.parse(t).pod)); }).on('error', reject));
      const worker = new Worker("import { parentPort } from 'node:worker_threads'; fetch('http://web/').then((r) => r.json()).then((b) => parentPort.postMessage(b.pod), (e) => parentPort.postMessage(String(e.cause)))", { eval: true });
      const [inWorker] = await once(worker, 'message');
      const child = JSON.parse(execFileSync(process.execPath, ['-e', "fetch('http://web/').then((r) => r.text()).then(console.log)"]));
      const socket = net.connect(8080, target.server); await once(socket, 'connect');
      const names = { remote: socket.remoteAddress, port: socket.remotePort, local: socket.localAddress }; socket.destroy();
      return { counted, byHttp, inWorker, child: child.pod, names };`);
    const ip = expect.stringMatching(/^198\.18\./);
    expect(value).toEqual({
      counted: '100000',
      byHttp: 'server-0',
      inWorker: 'server-0',
      child: 'server-0',
      names: { remote: serverIp, port: 8080, local: ip },
    });
  });

  test('what refuses, what is not there, and what is outside', async () => {
    const { value } = await inPod(`
      return {
        closed: await read(9999, target.server), noPort: await read(82, 'web'), noTarget: await read(81, 'web'), empty: await read(80, 'empty'),
        loopbackOfOther: await read(9001, target.server), noPod: await read(80, '198.18.65.200'), noService: await read(80, '198.19.65.200'),
        internet: await read(80, '203.0.113.7'), machine: await read(${new URL(playground.server).port}, '127.0.0.1'),
        unknown: await attempt(() => get('http://nope/').catch((e) => { throw e.cause; })),
        outside: await attempt(() => get('http://www.example.com/').catch((e) => { throw e.cause; })) };`);
    expect(value).toMatchObject({
      closed: `ECONNREFUSED connect ECONNREFUSED ${serverIp}:9999`,
      noPort: expect.stringMatching(/^ECONNREFUSED/),
      noTarget: expect.stringMatching(/^ECONNREFUSED/),
      empty: expect.stringMatching(/^ECONNREFUSED/),
      loopbackOfOther: expect.stringMatching(/^ECONNREFUSED/),
      noPod: 'EHOSTUNREACH connect EHOSTUNREACH 198.18.65.200:80',
      noService: expect.stringMatching(/^EHOSTUNREACH/),
      internet: 'ENETUNREACH connect ENETUNREACH 203.0.113.7:80',
      machine: expect.stringMatching(/^ECONNREFUSED/),
      unknown: 'ENOTFOUND',
      outside: 'ENOTFOUND',
    });
  });

  test('a pod has ports of its own: the same number in two pods, its loopback, its address, port 0, a port in use, and after close', async () => {
    const { ip, value } = await inPod(`
      const serve = (text, ...where) => new Promise((resolve, reject) => { const s = net.createServer((c) => c.end(text)); s.on('error', reject); s.listen(...where, () => resolve(s)); });
      const any = await serve('any', 8080), inner = await serve('inner', { port: 9001, host: 'localhost' }), free = await serve('free', 0);
      const own = os.networkInterfaces().eth0[0].address;
      const inUse = await attempt(() => serve('', 8080));
      const tooHigh = await attempt(() => serve('', 70000));
      const seen = { any: [any.address(), await read(8080, '127.0.0.1'), await read(8080, own), await read(8080, os.hostname())], inner: [inner.address(), await read(9001, 'localhost'), await read(9001, own)],
        free: await read(free.address().port, '::1'), inUse, tooHigh };
      any.close(); await once(any, 'close');
      seen.closed = await read(8080, '127.0.0.1');
      const again = await serve('again', 8080); seen.again = await read(8080, '127.0.0.1');
      for (const one of [inner, free, again]) one.close();
      return seen;`);
    expect(value).toEqual({
      any: [{ address: '::', family: 'IPv6', port: 8080 }, 'any', 'any', 'any'],
      inner: [
        { address: '127.0.0.1', family: 'IPv4', port: 9001 },
        'inner',
        `ECONNREFUSED connect ECONNREFUSED ${ip}:9001`,
      ],
      free: 'free',
      inUse: 'EADDRINUSE',
      tooHigh: 'ERR_SOCKET_BAD_PORT',
      closed: 'ECONNREFUSED connect ECONNREFUSED 127.0.0.1:8080',
      again: 'again',
    });
  });

  test('destroyed while it dials, and many at once', async () => {
    const { value } = await inPod(`
      const early = net.connect(8080, target.server); early.destroy(); await once(early, 'close');
      const signal = AbortSignal.abort(); const aborted = await attempt(() => fetch('http://web/', { signal }));
      const all = await Promise.all(Array.from({ length: 100 }, () => get('http://web/')));
      return { early: early.destroyed, aborted, pods: [...new Set(all.map((one) => one.pod))] };`);
    expect(value).toEqual({ early: true, aborted: 20, pods: ['server-0'] });
  });

  test('a change of the selector takes effect, and a Service made later answers', async () => {
    await client.post(SERVICES, {
      metadata: { name: 'moving' },
      spec: { selector: { app: 'nobody' }, ports: [{ port: 80, targetPort: 8080 }] },
    });
    const before = await inPod(`return read(80, 'moving')`);
    expect(before.value).toMatch(/^ECONNREFUSED/);
    await client.patch(`${SERVICES}/moving`, { spec: { selector: { app: 'server' } } });
    await client.until(
      '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dmoving',
      (slice) => slice.endpoints?.length > 0,
    );
    const after = await inPod(`return get('http://moving/')`);
    expect(after.value.pod).toBe('server-0');
  });
});

describe('names', () => {
  test('dns.lookup in all its forms', async () => {
    const { ip, value } = await inPod(`
      const calledBack = promisify((name, options, done) => lookup(name, options, (error, ...rest) => done(error, rest)));
      return {
        plain: await promisify(lookup)('web'), four: await calledBack('web', 4), all: await calledBack('web', { all: true }), promised: await dnsPromises.lookup('web'),
        allPromised: await dnsPromises.lookup('direct.shop', { all: true }), six: await attempt(() => dnsPromises.lookup('web', { family: 6 })),
        mapped: await dnsPromises.lookup('web', { family: 6, hints: dns.V4MAPPED }), localhost: await dnsPromises.lookup('localhost', 4),
        self: await dnsPromises.lookup(os.hostname()), literal: await dnsPromises.lookup('192.0.2.1'), other: await dnsPromises.lookup('web.shop.svc.cluster.local.'),
        missing: await dnsPromises.lookup('nope').catch(({ code, syscall, hostname, message }) => ({ code, syscall, hostname, message })) };`);
    expect(value).toEqual({
      plain: { address: serviceIp, family: 4 },
      four: [serviceIp, 4],
      all: [[{ address: serviceIp, family: 4 }]],
      promised: { address: serviceIp, family: 4 },
      allPromised: [{ address: serverIp, family: 4 }],
      six: 'ENOTFOUND',
      mapped: { address: `::ffff:${serviceIp}`, family: 6 },
      localhost: { address: '127.0.0.1', family: 4 },
      self: { address: ip, family: 4 },
      literal: { address: '192.0.2.1', family: 4 },
      other: { address: serviceIp, family: 4 },
      missing: { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'nope', message: 'getaddrinfo ENOTFOUND nope' },
    });
  });

  test('dns.resolve*, Resolvers with servers of their own, reverse', async () => {
    const { value } = await inPod(`
      const base = 'shop.svc.cluster.local', own = new Resolver(); own.setServers(['192.0.2.53']);
      const old = new dns.Resolver();
      return {
        a: await resolve4('web.' + base, { ttl: true }), own: await own.resolve4('direct.' + base), shown: own.getServers(), servers: dns.getServers(),
        old: await promisify(old.resolve4.bind(old))('web.' + base), any: await attempt(() => dnsPromises.resolve('web.' + base, 'AAAA')),
        srv: await resolveSrv('_http._tcp.web.' + base), srvHeadless: await resolveSrv('_http._tcp.direct.' + base), cname: await dnsPromises.resolveCname('alias.' + base),
        through: await resolve4('alias.' + base), reverse: await reverse(target.service), reversePod: await reverse(target.server), short: await attempt(() => resolve4('web')),
        missing: await attempt(() => resolve4('nope.' + base)), outside: await attempt(() => resolve4('example.com')), podRecord: await resolve4(target.server.replaceAll('.', '-') + '.shop.pod.cluster.local'),
        service: await dnsPromises.lookupService(target.service, 80) };`);
    const base = 'shop.svc.cluster.local';
    // Node adds the type of a record since version 22.18.
    for (const record of [...value.srv, ...value.srvHeadless]) record.type = 'SRV';
    expect(value).toEqual({
      a: [{ address: serviceIp, ttl: 30 }],
      own: [serverIp],
      shown: ['192.0.2.53'],
      servers: ['198.19.64.10'],
      old: [serviceIp],
      any: 'ENODATA',
      srv: [{ name: `web.${base}`, port: 80, priority: 0, weight: 100, type: 'SRV' }],
      srvHeadless: [{ name: `server-0.direct.${base}`, port: 8080, priority: 0, weight: 100, type: 'SRV' }],
      cname: [`web.${base}`],
      through: [serviceIp],
      reverse: [`web.${base}`],
      reversePod: [`server-0.direct.${base}`],
      short: 'ENOTFOUND',
      missing: 'ENOTFOUND',
      outside: 'ENOTFOUND',
      podRecord: [serverIp],
      service: { hostname: `web.${base}`, service: '80' },
    });
  });

  test('from another namespace', async () => {
    const { value } = await inPod(
      `return { short: await attempt(() => dnsPromises.lookup('web')), qualified: (await dnsPromises.lookup('web.shop')).address }`,
      'default',
    );
    expect(value).toEqual({ short: 'ENOTFOUND', qualified: serviceIp });
  });
});

describe('UDP', () => {
  test('unconnected and connected, by name and address; the answer comes from where it was sent', async () => {
    const { value } = await inPod(`
      const socket = dgram.createSocket('udp4'); socket.send('one', 7000, 'web');
      const [first, from] = await once(socket, 'message');
      socket.send(Buffer.from('..two..'), 2, 3, 7000, target.server); const [second, from2] = await once(socket, 'message'); socket.close();
      const connected = dgram.createSocket('udp4'); connected.connect(7000, target.service); await once(connected, 'connect');
      connected.send('three'); const [third] = await once(connected, 'message'); const remote = connected.remoteAddress(); connected.close();
      const bound = dgram.createSocket('udp4'); bound.bind(5353, '127.0.0.1'); await once(bound, 'listening'); const address = bound.address();
      const peer = dgram.createSocket('udp4'); peer.send('inside', 5353, '127.0.0.1'); const [inside] = await once(bound, 'message'); bound.close(); peer.close();
      return { first: String(first), from: from.address + ':' + from.port, second: String(second), from2: from2.address, third: String(third), remote, address, inside: String(inside) };`);
    expect(value).toMatchObject({
      first: 'echo one',
      from: `${serviceIp}:7000`,
      second: 'echo two',
      from2: serverIp,
      third: 'echo three',
      remote: { address: serviceIp, port: 7000, family: 'IPv4' },
      address: { address: '127.0.0.1', port: 5353 },
      inside: 'inside',
    });
  });

  test('the DNS server of the cluster answers there', async () => {
    const { value } = await inPod(`
      const query = Buffer.from('beef01000001000000000000' + '03776562' + '0473686f70' + '03737663' + '07636c7573746572' + '056c6f63616c' + '00' + '0001' + '0001', 'hex');
      const socket = dgram.createSocket('udp4'); socket.send(query, 53, '198.19.64.10'); const [answer] = await once(socket, 'message'); socket.close();
      return { id: answer.readUInt16BE(0), address: [...answer.subarray(-4)].join('.') };`);
    expect(value).toEqual({ id: 0xbeef, address: serviceIp });
  });
});

test("the server's own view of where it listens", async () => {
  expect(JSON.parse(await client.firstLine('shop', 'server-0'))).toEqual({
    web: { address: '::', family: 'IPv6', port: 8080 },
    count: { address: '0.0.0.0', family: 'IPv4', port: 7002 },
    inner: { address: '127.0.0.1', family: 'IPv4', port: 9001 },
    own: { address: serverIp, family: 'IPv4', port: 9002 },
    udp: { address: '0.0.0.0', family: 'IPv4', port: 7000 },
  });
});
