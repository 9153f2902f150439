// What test/compliance/dialer.ts does not ask of every dialer: several addresses of a name, reasons, and what is left behind.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import { SearchResolver } from '../../../src/netstack/dns/search-resolver.ts';
import { dialError } from '../../../src/netstack/route/dial-errors.ts';
import { DialLimit } from '../../../src/netstack/route/dial-limit.ts';
import { DirectDialer } from '../../../src/netstack/route/direct-dialer.ts';
import { openFirst } from '../../../src/netstack/route/open-socket.ts';
import { blackhole } from '../../support/blackhole.ts';
import { nameServer } from '../../support/name-server.ts';
import { deadPort, echoServer } from '../../support/peers.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function silentPort(): Promise<number> {
  const hole = await blackhole();
  ends.push(() => hole.stop());
  return hole.port;
}
async function echoOn(host: string, port: number): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  server.listen(port, host);
  await once(server, 'listening');
  ends.push(() => new Promise((resolve) => server.close(resolve)));
  return server;
}
const limitOf = (timeoutMs = 5_000, signal?: AbortSignal): DialLimit => new DialLimit('peer:1', { timeoutMs, signal });
const timers = (): number => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length;

describe('several addresses', () => {
  test('one that never answers gives way to the next', async () => {
    const port = await silentPort();
    await echoOn('::1', port);
    const socket = await openFirst(['127.0.0.1', '::1'], { host: 'peer', port }, limitOf());
    expect(socket.remoteAddress).toBe('::1');
    socket.destroy();
  });

  test('one that refuses gives way at once', async () => {
    const port = await deadPort();
    await echoOn('::1', port);
    const socket = await openFirst(['127.0.0.1', '::1'], { host: 'peer', port }, limitOf());
    expect(socket.remoteAddress).toBe('::1');
    socket.destroy();
  });

  test('all refuse: refused', async () => {
    const port = await deadPort();
    await expect(openFirst(['127.0.0.1', '127.0.0.1'], { host: 'peer', port }, limitOf())).rejects.toMatchObject({
      code: 'DIAL_REFUSED',
    });
  });

  test('none answers: timed out, or cancelled; no socket and no timer is left', async () => {
    const port = await silentPort();
    const before = timers();
    const target = { host: 'peer', port };
    await expect(openFirst(['127.0.0.1', '127.0.0.1'], target, limitOf(50))).rejects.toMatchObject({
      code: 'DIAL_TIMEOUT',
    });
    const cancel = new AbortController();
    const cancelled = openFirst(['127.0.0.1', '127.0.0.1'], target, limitOf(5_000, cancel.signal));
    cancel.abort();
    await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(openFirst(['127.0.0.1', '127.0.0.1'], target, limitOf(5_000, cancel.signal))).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    expect(timers()).toBeLessThanOrEqual(before);
  });
});

describe('names', () => {
  test('a name that moved: the dial that fails makes the next one ask again', async () => {
    const zone = { 'peer.shop': { A: ['127.0.0.1'] } };
    const dns = await nameServer(zone);
    ends.push(() => dns.stop());
    const resolver = new SearchResolver({ servers: [dns.address], file: '/dev/null' });
    const dialer = new DirectDialer({ names: 'search-list', resolver });
    const dead = { host: 'peer.shop', port: await deadPort() };
    for (let turn = 1; turn <= 3; turn += 1) {
      await expect(dialer.dial(dead, { settle: true })).rejects.toMatchObject({ code: 'DIAL_REFUSED' });
      expect(dns.questions.length).toBe(turn);
    }
  });

  test('an IPv6 address alone is dialled', async () => {
    const dns = await nameServer({ 'six.shop': { AAAA: ['::1'] } });
    ends.push(() => dns.stop());
    const server = await echoOn('::1', 0);
    const { port } = server.address() as { port: number };
    const resolver = new SearchResolver({ servers: [dns.address], file: '/dev/null' });
    const { stream } = await new DirectDialer({ names: 'search-list', resolver }).dial(
      { host: 'six.shop', port },
      { settle: true },
    );
    expect((stream as Socket).remoteAddress).toBe('::1');
    stream.destroy();
  });

  test('a DNS server that is silent is a time-out, by the limit of the dial', async () => {
    const dns = await nameServer({ 'quiet.shop': 'silent' });
    ends.push(() => dns.stop());
    const resolver = new SearchResolver({ servers: [dns.address], file: '/dev/null' });
    const dialer = new DirectDialer({ names: 'search-list', resolver });
    const limited = { timeoutMs: 50 };
    await expect(dialer.dial({ host: 'quiet.shop', port: 80 }, limited)).rejects.toMatchObject({
      code: 'DIAL_TIMEOUT',
    });
    await expect(dialer.resolve('quiet.shop', 'A', limited)).rejects.toMatchObject({ code: 'DIAL_TIMEOUT' });
    await expect(dialer.datagrams({ host: 'quiet.shop', port: 53 }, limited)).rejects.toMatchObject({
      code: 'DIAL_TIMEOUT',
    });
  });
});

describe('reasons', () => {
  const cases: [string, string][] = [
    ['ECONNREFUSED', 'DIAL_REFUSED'],
    ['ENOTFOUND', 'DIAL_NOT_FOUND'],
    ['EAI_AGAIN', 'DIAL_TIMEOUT'],
    ['ETIMEDOUT', 'DIAL_TIMEOUT'],
    ['EHOSTUNREACH', 'DIAL_UNREACHABLE'],
    ['ENETUNREACH', 'DIAL_UNREACHABLE'],
    ['EACCES', 'DIAL_DENIED'],
    ['EPERM', 'DIAL_DENIED'],
    ['ECONNRESET', 'DIAL_FAILED'],
    ['EMFILE', 'DIAL_FAILED'],
  ];
  for (const [errno, code] of cases) {
    test(`${errno} is ${code}, and names the target`, () => {
      const error = dialError(Object.assign(new Error(errno), { code: errno }), { host: 'fd00::1', port: 80 });
      expect(error.code).toBe(code);
      expect(error.message).toMatch(/^\[fd00::1\]:80 /);
    });
  }

  test('an error of ours stays as it is', () => {
    const error = new KtError('CANCELLED', 'x');
    expect(dialError(error, { host: 'a', port: 1 })).toBe(error);
  });

  test('a port that is none is an error of the dial, not a throw', async () => {
    const dialer = new DirectDialer();
    await expect(dialer.dial({ host: '127.0.0.1', port: 99_999 })).rejects.toMatchObject({ code: 'DIAL_FAILED' });
    await expect(dialer.datagrams({ host: '127.0.0.1', port: 99_999 })).rejects.toMatchObject({ code: 'DIAL_FAILED' });
  });
});

test('after `opened` a reset that nobody listens for does not end the process', async () => {
  const peer = await echoServer();
  ends.push(() => peer.stop());
  const { stream, opened } = await new DirectDialer().dial({ host: '127.0.0.1', port: peer.port });
  await opened;
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.destroy(new Error('nobody listens'));
  await closed;
});

test('the dialer holds no timer for a dial that has ended', async () => {
  const peer = await echoServer();
  ends.push(() => peer.stop());
  const before = timers();
  const { stream } = await new DirectDialer().dial({ host: '127.0.0.1', port: peer.port }, { settle: true });
  expect(timers()).toBeLessThanOrEqual(before);
  stream.destroy();
});
