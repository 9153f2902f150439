// kt forward without a cluster: which destination a target is (by a scripted API), where it listens, and what is said of failures.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { KtError } from '../../src/errors.ts';
import { openForwards, placeForwards } from '../../src/modes/forward.ts';
import { type Forward, forwardTargets } from '../../src/modes/forward-service.ts';
import { ownAddress, parseForwards } from '../../src/netstack/forward/rules.codec.ts';
import type { SessionEvent } from '../../src/session/events.ts';
import { apiFor, startFakeApi, statusBody } from '../cluster/support/fake-api.ts';
import { LoopbackDialer } from '../support/loopback-dialer.ts';
import { echoServer, RawClient } from '../support/peers.ts';

const OBJECTS: Readonly<Record<string, object | number>> = {
  '/api/v1/namespaces/shop/services/orders': { metadata: { name: 'orders' }, spec: { ports: [{ port: 80 }] } },
  '/api/v1/namespaces/locked/services/vault': { metadata: { name: 'vault' }, spec: { ports: [{ port: 8200 }] } },
  '/api/v1/namespaces/secret/services/vault': 403,
  '/api/v1/namespaces/shop/services/hidden': 403,
  '/api/v1/namespaces/shop/services/db': {
    metadata: { name: 'db' },
    spec: { clusterIP: 'None', ports: [{ name: 'sql', port: 5432, targetPort: 'pg' }] },
  },
  '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices': {
    items: [{ ports: [{ name: 'sql', port: 15_432 }] }],
  },
};

async function targetsOf(...words: string[]): Promise<string[]> {
  const asked: string[] = [];
  const server = await startFakeApi((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    asked.push(`${request.method} ${path}`);
    const found = OBJECTS[path] ?? 404;
    if (typeof found !== 'number') response.end(JSON.stringify(found));
    else response.writeHead(found).end(statusBody(found, found === 403 ? 'Forbidden' : 'NotFound', `${found}`));
  });
  const place = { api: apiFor(server.url), namespace: 'shop', clusterDomain: 'cluster.local' };
  const targets = await Promise.all(parseForwards(words).map((request) => forwardTargets(place, request, false)));
  expect(asked.every((one) => one.startsWith('GET '))).toBe(true);
  return targets.flat().map(({ target, local, protocol }) => `${local} → ${target.host}:${target.port} ${protocol}`);
}

describe('targets', () => {
  test.each([
    [['orders'], ['80 → orders:80 TCP']],
    [['svc/orders', '8080:80'], ['8080 → orders:80 TCP']],
    // Of another namespace, in every form that resolves there.
    [['vault.locked'], ['8200 → vault.locked:8200 TCP']],
    [['vault.locked.svc'], ['8200 → vault.locked.svc:8200 TCP']],
    [['vault.locked.svc.cluster.local'], ['8200 → vault.locked.svc.cluster.local:8200 TCP']],
    // It may not be looked at, but perhaps reached.
    [['vault.secret:8200'], ['8200 → vault.secret:8200 TCP']],
    [['hidden', '8080:80'], ['8080 → hidden:80 TCP']],
    // No Services at all.
    [['db.company.lan:5432'], ['5432 → db.company.lan:5432 TCP']],
    [['10.1.2.3', '53/udp'], ['53 → 10.1.2.3:53 UDP']],
    [['[fd00::7]:80'], ['80 → fd00::7:80 TCP']],
    [['db-0.db', '1:8080'], ['1 → db-0.db:8080 TCP']],
    // Headless with a named target port: the number is in its endpoints.
    [['db'], ['5432 → db:15432 TCP']],
  ])('%j', async (words, expected) => {
    expect(await targetsOf(...words)).toEqual(expected);
  });

  test.each([
    [['nope'], 'SERVICE_NOT_FOUND', "there is no service 'nope' in the namespace 'shop'"],
    [['svc/nope', '80'], 'SERVICE_NOT_FOUND', "there is no service 'nope'"],
    [['hidden'], 'RIGHTS_MISSING', ''],
    [['db.company.lan'], 'USAGE', 'name the port of db.company.lan as a number'],
    [['db.company.lan:http'], 'USAGE', 'name the port of db.company.lan as a number'],
    [['orders', '81:82'], 'USAGE', 'orders has no port 81:82: it has 80'],
  ])('%j is refused with %s', async (words, code, message) => {
    const refused = targetsOf(...words);
    await expect(refused).rejects.toMatchObject({ code, message: expect.stringContaining(message) as string });
  });
});

const forward = (host: string, port: number, local: number, more: Partial<Forward> = {}): Forward => ({
  target: { host, port },
  protocol: 'TCP',
  local,
  localNamed: true,
  address: '127.0.0.1',
  ...more,
});
const settings = { address: '127.0.0.1', ownIp: false, udp: false };

describe('local addresses', () => {
  test('two that want the same port are refused before anything listens; TCP and UDP do not clash, nor free ports', () => {
    const twins = [forward('a', 80, 8080), forward('b', 81, 8080)];
    expect(() => placeForwards(twins, settings, { namespace: 'shop' })).toThrow(
      'a:80 and b:81 both want 127.0.0.1:8080',
    );
    const fine = [
      forward('a', 53, 53),
      forward('a', 53, 53, { protocol: 'UDP' }),
      forward('b', 1, 0),
      forward('c', 1, 0),
    ];
    expect(placeForwards(fine, settings, { namespace: 'shop' })).toHaveLength(4);
  });

  test('--own-ip: one address for a name and its namespace, so that two databases have 5432', () => {
    const placed = placeForwards(
      [forward('db', 5432, 5432), forward('db', 90, 90), forward('db.test', 5432, 5432)],
      { ...settings, ownIp: true },
      { namespace: 'shop' },
    );
    expect(placed.map(({ address }) => address)).toEqual([
      ownAddress('db.shop'),
      ownAddress('db.shop'),
      ownAddress('db.test'),
    ]);
  });
});

describe('listening', () => {
  async function open(forwards: readonly Forward[], dialer: LoopbackDialer, events: SessionEvent[] = []) {
    const opened = await openForwards(forwards, dialer, (event) => events.push(event));
    onTestFinished(() => opened.close());
    return opened;
  }
  const portOf = (local: string | undefined): number => Number(local?.split(':').at(-1));

  test('what was opened is told as address:port → host:port, and carries', async () => {
    const echo = await echoServer();
    const dialer = new LoopbackDialer({ names: { orders: echo.port, 'fd00::7': echo.port } });
    const { forwards } = await open([forward('orders', 80, 0), forward('fd00::7', 80, 0)], dialer);
    expect(forwards.map(({ remote }) => remote)).toEqual(['orders:80', '[fd00::7]:80']);
    for (const { local } of forwards) {
      expect(local).toMatch(/^127\.0\.0\.1:\d+$/);
      const client = new RawClient(portOf(local)).send('hello');
      expect((await client.read(5)).toString()).toBe('hello');
      client.socket.destroy();
    }
    await echo.stop();
  });

  test('all or none: a port that is taken leaves no other one open', async () => {
    const busy = createServer().listen(0, '127.0.0.1');
    await once(busy, 'listening');
    onTestFinished(() => void busy.close());
    const address = busy.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const dialer = new LoopbackDialer({ names: {} });
    const free = await open([forward('a', 1, 0)], dialer);
    const freePort = portOf(free.forwards[0]?.local);
    await free.close();
    await expect(openForwards([forward('a', 1, freePort), forward('orders', 80, port)], dialer, () => undefined))
      .rejects //
      .toMatchObject({
        code: 'LISTEN_FAILED',
        hint: 'Choose another port with `kt forward orders LOCAL:80` (0 takes any free one).',
      });
    const refused = connect(freePort, '127.0.0.1');
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
  });

  test('a loopback address of its own, where the system has them', async () => {
    const echo = await echoServer();
    const dialer = new LoopbackDialer({ names: { db: echo.port, other: echo.port } });
    const [one, other] = [ownAddress('db.shop'), ownAddress('other.shop')];
    if (process.platform === 'darwin') {
      const refused = open([forward('db', 5432, 0, { address: one })], dialer);
      await expect(refused).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
      await echo.stop();
      return;
    }
    const first = await open([forward('db', 5432, 0, { address: one })], dialer);
    const port = portOf(first.forwards[0]?.local);
    const second = await open([forward('other', 5432, port, { address: other })], dialer);
    expect(first.forwards[0]?.local).toBe(`${one}:${port}`);
    expect(second.forwards[0]?.local).toBe(`${other}:${port}`);
    await echo.stop();
  });

  test('a failure is told once, until a connection succeeds', async () => {
    const echo = await echoServer();
    const dialer = new LoopbackDialer({
      names: { orders: echo.port },
      failures: { orders: new KtError('DIAL_REFUSED', 'nobody listens there') },
    });
    const events: SessionEvent[] = [];
    const { forwards } = await open([forward('orders', 80, 0)], dialer, events);
    const port = portOf(forwards[0]?.local);
    const fail = async (): Promise<void> => {
      const client = new RawClient(port);
      await client.closed;
      expect(client.error?.code).toBe('ECONNRESET');
    };
    await fail();
    await fail();
    const failures = { ...dialer.failures };
    delete dialer.failures['orders'];
    const good = new RawClient(port).send('x');
    await good.read(1);
    good.socket.destroy();
    Object.assign(dialer.failures, failures);
    await fail();
    const told = { type: 'warning', message: 'no connection to orders:80: nobody listens there' };
    expect(events).toEqual([told, told]);
    await echo.stop();
  });
});
