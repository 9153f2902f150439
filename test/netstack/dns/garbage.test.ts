// Whatever comes to the listener's sockets: it goes on, and answers the next honest question.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { encode } from 'dns-packet';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withLength } from '../../../src/netstack/dns/framing.codec.ts';
import { ask, type DnsWorld, dnsWorld, rcodeOf } from '../../support/dns-world.ts';

let world: DnsWorld;
let port = 0;

beforeAll(async () => {
  world = await dnsWorld(
    { 'gateway.shop.svc.cluster.local': { A: ['10.96.1.1'] } },
    { 'example.com': { A: ['192.0.2.1'] } },
  );
  // Foreign names are refused, so that the garbage does not reach a server that is only a test's.
  ({ port } = await world.start({ refuseForeign: true }));
});
afterAll(() => world.stop());

const honest = async (): Promise<number> => rcodeOf(await ask(port, { questions: [{ type: 'A', name: 'gateway' }] }));

/** A question, with bytes of it changed, cut or repeated. */
const nearly = fc
  .tuple(
    fc.constantFrom('gateway', 'gateway.shop', 'a.b.c.svc', 'example.com', '1.1.96.10.in-addr.arpa'),
    fc.constantFrom('A', 'AAAA', 'SRV', 'ANY', 'PTR', 'TXT'),
    fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 8 }),
    fc.nat(80),
  )
  .map(([name, type, changes, length]) => {
    const bytes = Buffer.from(encode({ type: 'query', id: 1, questions: [{ type: type as 'A', name }] }));
    for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
    return bytes.subarray(0, length);
  });
const garbage = fc.oneof(
  fc.uint8Array({ maxLength: 1_500 }).map((bytes) => Buffer.from(bytes)),
  nearly,
);

test('datagrams of any bytes', async () => {
  const socket = createSocket('udp4');
  socket.on('error', () => undefined);
  const replies: Buffer[] = [];
  socket.on('message', (reply) => replies.push(reply));
  await fc.assert(
    fc.asyncProperty(fc.array(garbage, { minLength: 1, maxLength: 20 }), async (datagrams) => {
      for (const datagram of datagrams) await new Promise((sent) => socket.send(datagram, port, '127.0.0.1', sent));
      expect(await honest()).toBe(0);
    }),
    { numRuns: 60 },
  );
  socket.close();
  expect(replies.length).toBeGreaterThan(0);
  for (const reply of replies) {
    expect(reply.length).toBeGreaterThanOrEqual(12);
    expect(reply.length).toBeLessThanOrEqual(1_232);
    expect((reply[2] ?? 0) & 0x80).toBe(0x80);
  }
});

test('connections with any bytes, in any pieces, that end in any way', async () => {
  const piece = fc.oneof(garbage, garbage.map(withLength));
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 8 }),
      fc.constantFrom('end', 'reset', 'destroy'),
      async (pieces, ending) => {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => undefined).resume();
        await once(socket, 'connect');
        const closed = new Promise((resolve) => socket.once('close', resolve));
        for (const bytes of pieces) if (socket.writable) socket.write(bytes);
        if (ending === 'end') socket.end();
        else if (ending === 'reset') socket.resetAndDestroy();
        else socket.destroy();
        await closed;
        expect(await honest()).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

test('more connections than there may be: the rest is closed, and none stays', async () => {
  const sockets = Array.from({ length: 200 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  await Promise.any(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  for (const socket of sockets) socket.destroy();
  expect(await honest()).toBe(0);
});
