// The broker with a pretend cluster behind it, spoken to in bytes as a shim does: the checks at the door, DIAL in all its ways to end,
// RESOLVE from memory, UDP.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import { QUEUED_MAX } from '../../../src/netstack/broker/connection.ts';
import { type AttachedProgram, type Broker, startBroker } from '../../../src/netstack/broker/server.ts';
import { NameTableDialer, TableRouter } from '../../support/name-table-dialer.ts';
import { deadPort, echoServer, type Peer, RawClient, tcpServer } from '../../support/peers.ts';

const ECHO = '198.19.0.10';
const DEAD = '198.19.0.11';
const SILENT = '198.19.0.12';
const REFUSED = '198.19.0.13';
const UNREACHABLE = '198.19.0.14';

let echo: Peer;
let dialer: NameTableDialer;
let router: TableRouter;
let broker: Broker;
let programs: AttachedProgram[];
let rejected: string[];

beforeEach(async () => {
  echo = await echoServer();
  dialer = new NameTableDialer({
    names: { orders: [ECHO], two: [ECHO, DEAD] },
    ports: { [`${ECHO}:80`]: echo.port, [`${DEAD}:80`]: await deadPort() },
    failures: {
      [REFUSED]: new KtError('DIAL_REFUSED', 'nobody listens there'),
      [UNREACHABLE]: new KtError('DIAL_UNREACHABLE', 'no way'),
    },
    silent: [SILENT],
  });
  router = new TableRouter(dialer, ['198.19.0.0/16']);
  programs = [];
  rejected = [];
  broker = await startBroker({
    dialer,
    router,
    oneShotMs: 300,
    onProgram: (program) => programs.push(program),
    onRejected: (reason) => rejected.push(reason),
  });
});

afterEach(async () => {
  await broker.close();
  await echo.stop();
});

const port = (): number => Number(broker.address.split(':')[1]);
const client = (): RawClient => new RawClient(port());

/** One question on a connection of its own, as shims ask. */
async function ask(question: string): Promise<string> {
  const connection = client().send(`KT1 ${broker.token} ${question}\n`);
  const answer = await connection.readTo('\n');
  connection.socket.destroy();
  return answer.trimEnd();
}

/** DIAL that must succeed, and the program's connect to the port. */
async function dial(question: string): Promise<Socket> {
  const answer = await ask(question);
  expect(answer).toMatch(/^OK \d+$/);
  const socket = connect({ port: Number(answer.slice(3)), host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

async function text(socket: Socket): Promise<string> {
  let all = '';
  for await (const chunk of socket) all += String(chunk);
  return all;
}

const errorOf = (socket: Socket): Promise<NodeJS.ErrnoException> =>
  once(socket, 'error').then(([error]) => error as NodeJS.ErrnoException);

describe('at the door', () => {
  test('a wrong token is refused, and nothing of the request is looked at', async () => {
    const connection = client().send('KT1 wrong RESOLVE ???\n');
    expect((await connection.readAll()).toString()).toBe('ERR EACCES wrong token\n');
    expect(rejected).toEqual(['wrong token']);
    expect(dialer.resolved).toEqual([]);
  });

  test.each([
    ['another protocol', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['an unknown request', 'KT1 TOKEN MAP 198.19.0.10 80\n'],
    ['a line without end', 'x'.repeat(600)],
    ['zero bytes', '\0\0\0\n'],
    ['more requests than a shim has', 'KT1 TOKEN RESOLVE a.svc\n'.repeat(QUEUED_MAX + 1)],
  ])('%s is closed with a reason', async (_, bytes) => {
    const connection = client().send(bytes.replaceAll('TOKEN', broker.token));
    expect((await connection.readAll()).toString()).toMatch(/^ERR EINVAL .+\n$/);
    expect(rejected).toHaveLength(1);
    expect(await ask('HELLO test 1 1')).toBe('OK');
  });

  test('HELLO and a question in one packet are answered in their order', async () => {
    const connection = client().send(`KT1 ${broker.token} HELLO node v24 7\nKT1 ${broker.token} RESOLVE orders\n`);
    expect(await connection.readTo('\n')).toBe('OK\n');
    expect(await connection.readTo('\n')).toBe(`OK ${ECHO}\n`);
    expect(programs).toEqual([{ runtime: 'node', version: 'v24', pid: 7 }]);
    connection.socket.destroy();
  });

  test('the token has 192 bits and differs between brokers', async () => {
    const other = await startBroker({ dialer, router });
    expect(broker.token).toMatch(/^[\w-]{32}$/);
    expect(other.token).not.toBe(broker.token);
    await other.close();
  });
});

describe('DIAL', () => {
  test('answers a port for one connection, which half-closes both ways', async () => {
    const socket = await dial(`DIAL ${ECHO} 80 0`);
    socket.end('hello');
    expect(await text(socket)).toBe('hello');
    expect(dialer.dials.map(({ target }) => target)).toEqual([{ host: ECHO, port: 80 }]);
  });

  test('the port takes no second connection', async () => {
    const answer = await ask(`DIAL ${ECHO} 80 0`);
    const local = Number(answer.slice(3));
    const first = connect(local, '127.0.0.1');
    await once(first, 'connect');
    first.write('x');
    await once(first, 'data');
    expect((await errorOf(connect(local, '127.0.0.1'))).code).toBe('ECONNREFUSED');
    first.destroy();
  });

  test('tells the true errno of the far end', async () => {
    expect(await ask(`DIAL ${REFUSED} 80 0`)).toBe('ERR ECONNREFUSED nobody listens there');
    expect(await ask(`DIAL ${DEAD} 80 0`)).toMatch(/^ERR ECONNREFUSED /);
    expect(await ask(`DIAL ${UNREACHABLE} 80 0`)).toBe('ERR EHOSTUNREACH no way');
    expect(await ask(`DIAL ${ECHO} 81 0`)).toMatch(/^ERR ENOTFOUND /);
    expect(broker.stats.pending).toBe(0);
  });

  test("tells the timeout of the program's own limit", async () => {
    expect(await ask(`DIAL ${SILENT} 80 50`)).toMatch(/^ERR ETIMEDOUT /);
  });

  test('answers at once for a target that answered before, and its first bytes travel with the opening', async () => {
    (await dial(`DIAL ${ECHO} 80 0`)).destroy();
    let release = (): void => undefined;
    dialer.hold = new Promise((resolve) => {
      release = resolve;
    });
    const socket = await dial(`DIAL ${ECHO} 80 0`);
    socket.end('early');
    expect((await dialer.dials[1]?.stream.earlyBytes(5))?.toString()).toBe('early');
    expect(dialer.dials[1]?.options.settle).toBe(false);
    release();
    expect(await text(socket)).toBe('early');
  });

  test('with wait, waits for a known target too', async () => {
    (await dial(`DIAL ${ECHO} 80 0`)).destroy();
    dialer.failures[ECHO] = new KtError('DIAL_REFUSED', 'gone meanwhile');
    expect(await ask(`DIAL ${ECHO} 80 0 wait`)).toBe('ERR ECONNREFUSED gone meanwhile');
  });

  test('a known target that fails after the answer resets the program, and is known no longer', async () => {
    (await dial(`DIAL ${ECHO} 80 0`)).destroy();
    dialer.failures[ECHO] = new KtError('DIAL_REFUSED', 'gone meanwhile');
    const socket = connect({ port: Number((await ask(`DIAL ${ECHO} 80 0`)).slice(3)), host: '127.0.0.1' });
    expect((await errorOf(socket)).code).toBe('ECONNRESET');
    expect(await ask(`DIAL ${ECHO} 80 0`)).toBe('ERR ECONNREFUSED gone meanwhile');
  });

  test('with a limit to the wait, answers with the dial still under way; its failure then is a reset', async () => {
    const answer = await ask(`DIAL ${SILENT} 80 400 wait=10`);
    expect(answer).toMatch(/^OK \d+$/);
    const socket = connect(Number(answer.slice(3)), '127.0.0.1');
    await once(socket, 'connect');
    expect((await errorOf(socket)).code).toBe('ECONNRESET');
  });

  test('a program that gives up cancels the dial', async () => {
    const connection = client().send(`KT1 ${broker.token} DIAL ${SILENT} 80 0\n`);
    await dialer.dialled(1);
    const { options } = dialer.dials[0] ?? {};
    const aborted = once(options?.signal as AbortSignal, 'abort');
    connection.socket.destroy();
    await aborted;
  });

  test('a program that does not come for its connection: the listener expires and the far end is closed', async () => {
    const answer = await ask(`DIAL ${ECHO} 80 0`);
    const stream = dialer.dials[0]?.stream;
    await once(stream as NonNullable<typeof stream>, 'close');
    expect((await errorOf(connect(Number(answer.slice(3)), '127.0.0.1'))).code).toBe('ECONNREFUSED');
    expect(broker.stats.pending).toBe(0);
  });

  test('a reset of the far end is a reset for the program', async () => {
    const resetting = await tcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    dialer.names[`${ECHO}:81`] = resetting.port;
    const socket = await dial(`DIAL ${ECHO} 81 0`);
    socket.write('x');
    expect((await errorOf(socket)).code).toBe('ECONNRESET');
    await resetting.stop();
  });

  test('is answered NO for what is not the cluster', async () => {
    expect(await ask('DIAL 203.0.113.1 80 0')).toBe('NO');
    expect(await ask('DIAL example.com 80 0')).toBe('NO');
    expect(dialer.dials).toEqual([]);
  });

  test('a target by its name is dialled by its name', async () => {
    dialer.names['orders:80'] = echo.port;
    (await dial('DIAL orders 80 0')).destroy();
    expect(dialer.dials[0]?.target).toEqual({ host: 'orders', port: 80 });
  });

  test('400 at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 400 }, async (_, index) => {
        const socket = await dial(`DIAL ${ECHO} 80 0`);
        socket.end(String(index));
        return text(socket);
      }),
    );
    expect(answers).toEqual(Array.from({ length: 400 }, (_, index) => String(index)));
  });

  test('close() resets what is open and cancels what is being opened', async () => {
    const socket = await dial(`DIAL ${ECHO} 80 0`);
    const waiting = client().send(`KT1 ${broker.token} DIAL ${SILENT} 80 0\n`);
    await dialer.dialled(2);
    const reset = errorOf(socket);
    await broker.close();
    expect((await reset).code).toBe('ECONNRESET');
    await waiting.closed;
    expect(dialer.dials[1]?.options.signal?.aborted).toBe(true);
  });
});

describe('RESOLVE', () => {
  test('gives the addresses, and the router learns them', async () => {
    expect(await ask('RESOLVE two.shop.svc')).toBe(`OK ${ECHO} ${DEAD}`);
    expect(router.learned).toEqual([ECHO, DEAD]);
  });

  test('NO without a question for what is not the cluster', async () => {
    expect(await ask('RESOLVE example.com')).toBe('NO');
    expect(await ask('RESOLVE 198.19.0.1')).toBe('NO');
    expect(dialer.resolved).toEqual([]);
  });

  test('a name with a cluster suffix that the cluster does not know', async () => {
    expect(await ask('RESOLVE nope.shop.svc')).toBe('ERR ENOTFOUND no such name in the cluster: nope.shop.svc');
  });

  test('a short name that the cluster turns out not to know is left to the system', async () => {
    router.isClusterName = () => true;
    expect(await ask('RESOLVE printer')).toBe('NO');
  });

  test('the second answer comes from memory, and many at once ask once', async () => {
    await Promise.all(Array.from({ length: 20 }, () => ask('RESOLVE orders')));
    expect(await ask('RESOLVE orders')).toBe(`OK ${ECHO}`);
    expect(dialer.resolved).toEqual(['orders']);
  });

  test('without a link: only the cluster could know it, so the reason is told; a short name is left to the system', async () => {
    router.isClusterName = () => true;
    dialer.resolve = () => Promise.reject(new KtError('LINK_PARKED', 'no link to the cluster'));
    expect(await ask('RESOLVE orders.shop.svc')).toBe('ERR ENETUNREACH no link to the cluster');
    expect(await ask('RESOLVE orders')).toBe('NO');
  });

  test('what a broken far end gives as addresses is not passed on', async () => {
    dialer.resolve = (name, type) =>
      Promise.resolve({ found: true, records: [{ type, name, ttl: 5, data: '198.19.0.1\nOK 6.6.6.6' }] });
    expect(await ask('RESOLVE odd.shop.svc')).toMatch(/^ERR ENOTFOUND/);
  });
});

describe('UDP', () => {
  test("carries datagrams both ways, and drops a stranger's", async () => {
    const server = createSocket('udp4');
    server.on('message', (datagram, from) => server.send(`echo ${String(datagram)}`, from.port, from.address));
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    dialer.names[`${ECHO}:53`] = server.address().port;

    const answer = await ask(`UDP ${ECHO} 53`);
    const program = createSocket('udp4');
    program.connect(Number(answer.slice(3)), '127.0.0.1');
    await once(program, 'connect');
    program.send('one');
    expect(String((await once(program, 'message'))[0])).toBe('echo one');

    const stranger = createSocket('udp4');
    await new Promise((sent) => stranger.send('two', Number(answer.slice(3)), '127.0.0.1', sent));
    program.send('three');
    expect(String((await once(program, 'message'))[0])).toBe('echo three');
    expect(broker.stats.flows).toBe(1);
    stranger.close();
    program.close();
    server.close();
  });

  test('NO where the dialer carries none, and for what is not the cluster', async () => {
    dialer.datagrams = () => Promise.reject(new KtError('UNSUPPORTED', 'no UDP without an agent'));
    expect(await ask(`UDP ${ECHO} 53`)).toBe('NO');
    expect(await ask('UDP 203.0.113.1 53')).toBe('NO');
  });
});
