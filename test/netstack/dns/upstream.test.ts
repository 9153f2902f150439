// Real UDP and TCP peers on the loopback, honest ones and others.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { decode, encode } from 'dns-packet';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Upstream } from '../../../src/netstack/dns/upstream.ts';
import { rcodeOf } from '../../support/dns-world.ts';
import { type NameServer, nameServer } from '../../support/name-server.ts';
import { deadPort, type Peer, tcpServer } from '../../support/peers.ts';

let server: NameServer;
const sockets: UdpSocket[] = [];
const peers: Peer[] = [];

beforeEach(async () => {
  server = await nameServer({
    'example.com': { A: ['192.0.2.1'] },
    'broken.com': 'servfail',
    'refused.com': 'refused',
  });
});
afterEach(async () => {
  await server.stop();
  for (const socket of sockets.splice(0)) socket.close();
  await Promise.all(peers.splice(0).map((peer) => peer.stop()));
});

const question = (name: string): Buffer =>
  encode({ type: 'query', id: 0x4b54, flags: 0x100, questions: [{ type: 'A', name }] });

/** A UDP server that answers as it is told to, several times if it likes. */
async function udpServer(answers: (question: Buffer) => Buffer[]): Promise<string> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  socket.on('message', (message, from) => {
    for (const answer of answers(message)) socket.send(answer, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return `127.0.0.1:${socket.address().port}`;
}
async function tcpOnly(onMessage: (message: Buffer) => Buffer | undefined): Promise<string> {
  const peer = await tcpServer((socket) => {
    socket.on('data', (chunk: Buffer) => {
      const reply = onMessage(chunk);
      if (reply) socket.write(reply);
      else socket.destroy();
    });
  });
  peers.push(peer);
  return `127.0.0.1:${peer.port}`;
}

describe('the message passes', () => {
  for (const transport of ['udp', 'tcp'] as const) {
    test(`${transport}: under another id, and comes back under ours`, async () => {
      const reply = await new Upstream([server.address]).ask(question('example.com'), transport);
      expect(decode(reply)).toMatchObject({ id: 0x4b54, answers: [{ name: 'example.com', data: '192.0.2.1' }] });
    });
  }

  test('the id is another one each time', async () => {
    const ids = new Set<number>();
    const address = await udpServer((message) => {
      ids.add(message.readUInt16BE(0));
      return [encode({ type: 'response', id: message.readUInt16BE(0), questions: decode(message).questions ?? [] })];
    });
    const upstream = new Upstream([address]);
    for (let turn = 0; turn < 20; turn += 1) await upstream.ask(question('example.com'), 'udp');
    expect(ids.size).toBeGreaterThan(15);
  });
});

describe('answers that are none', () => {
  test('to another id, to another name, questions, half a header: passed over until the right one comes', async () => {
    const address = await udpServer((message) => {
      const id = message.readUInt16BE(0);
      const answer = (other: { id?: number; name?: string; query?: boolean }, data: string): Buffer =>
        encode({
          type: other.query ? 'query' : 'response',
          id: other.id ?? id,
          questions: [{ type: 'A', name: other.name ?? 'example.com' }],
          answers: [{ type: 'A', name: 'example.com', data }],
        });
      return [
        Buffer.from('4b', 'hex'),
        answer({ id: (id + 1) & 0xffff }, '203.0.113.1'),
        answer({ name: 'evil.example' }, '203.0.113.2'),
        answer({ query: true }, '203.0.113.3'),
        answer({}, '192.0.2.1'),
      ];
    });
    const reply = decode(await new Upstream([address]).ask(question('example.com'), 'udp'));
    expect(reply.answers).toMatchObject([{ data: '192.0.2.1' }]);
  });

  test('over TCP a wrong one ends it', async () => {
    const address = await tcpOnly((chunk) => {
      const wrong = Buffer.from(chunk);
      wrong[2] = (wrong[2] ?? 0) ^ 0xff;
      return wrong;
    });
    await expect(new Upstream([address]).ask(question('example.com'), 'tcp')).rejects.toMatchObject({
      code: 'DIAL_FAILED',
    });
  });
});

describe('servers', () => {
  test('the next one where nobody listens, by UDP and by TCP', async () => {
    const upstream = new Upstream([`127.0.0.1:${await deadPort()}`, server.address]);
    for (const transport of ['udp', 'tcp'] as const)
      expect(rcodeOf(decode(await upstream.ask(question('example.com'), transport)))).toBe(0);
  });

  test('the next one where a connection is closed', async () => {
    const upstream = new Upstream([await tcpOnly(() => undefined), server.address]);
    expect(rcodeOf(decode(await upstream.ask(question('example.com'), 'tcp')))).toBe(0);
  });

  test('the next one where a server is not able to answer; where none is, the first one says so', async () => {
    const other = await nameServer({ 'broken.com': { A: ['192.0.2.2'] }, 'refused.com': 'servfail' });
    const upstream = new Upstream([server.address, other.address]);
    expect(rcodeOf(decode(await upstream.ask(question('broken.com'), 'udp')))).toBe(0);
    expect(rcodeOf(decode(await upstream.ask(question('refused.com'), 'udp')))).toBe(5);
    await other.stop();
  });

  test('no such name is an answer, and nobody else is asked', async () => {
    const other = await nameServer({ 'nobody.com': { A: ['203.0.113.1'] } });
    const reply = await new Upstream([server.address, other.address]).ask(question('nobody.com'), 'udp');
    expect(rcodeOf(decode(reply))).toBe(3);
    expect(other.questions).toEqual([]);
    await other.stop();
  });

  test('none, or none that answers: an error with its reason', async () => {
    await expect(new Upstream([]).ask(question('a.b'), 'udp')).rejects.toMatchObject({ code: 'DIAL_FAILED' });
    const dead = new Upstream([`127.0.0.1:${await deadPort()}`]);
    await expect(dead.ask(question('a.b'), 'udp')).rejects.toThrow();
    await expect(dead.ask(question('a.b'), 'tcp')).rejects.toThrow();
  });

  test('a text that is no address is an error, not an end of the process', async () => {
    for (const text of ['', 'x', '127.0.0.1:x', '127.0.0.1:99999', '[::1', '999.1.1.1'])
      await expect(new Upstream([text]).ask(question('a.b'), 'udp')).rejects.toThrow();
  });

  test('IPv6', async () => {
    const socket = createSocket('udp6');
    sockets.push(socket);
    socket.on('message', (message, from) =>
      socket.send(
        encode({ type: 'response', id: message.readUInt16BE(0), questions: decode(message).questions ?? [] }),
        from.port,
        from.address,
      ),
    );
    socket.bind(0, '::1');
    await once(socket, 'listening');
    expect((await new Upstream([`[::1]:${socket.address().port}`]).ask(question('a.b'), 'udp')).length).toBeGreaterThan(
      12,
    );
  });

  test('questions at once are bounded', async () => {
    const silent = await udpServer(() => []);
    const upstream = new Upstream([silent]);
    const waiting = Array.from({ length: 256 }, () =>
      upstream.ask(question('a.b'), 'udp').catch((error: Error) => error),
    );
    await expect(upstream.ask(question('a.b'), 'udp')).rejects.toMatchObject({ code: 'DIAL_FAILED' });
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'DIAL_TIMEOUT' });
  });
});
