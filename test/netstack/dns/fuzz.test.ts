// Garbage on the open port: the server goes on, answers whoever asks properly, and sends nothing that is not a reply.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { encode } from 'dns-packet';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, type DnsWorld, dnsWorld } from '../../support/dns-world.ts';
import { RawClient } from '../../support/peers.ts';

let world: DnsWorld;
let port = 0;

beforeAll(async () => {
  world = await dnsWorld(
    { 'gateway.shop.svc.cluster.local': { A: ['10.96.1.1'] } },
    { 'example.com': { A: ['192.0.2.1'] } },
  );
  ({ port } = await world.start());
});
afterAll(() => world.stop());

const TYPES = ['A', 'AAAA', 'SRV', 'PTR', 'CNAME', 'TXT', 'ANY', 'AXFR', 'HINFO', 'UNKNOWN_65'];
const NAMES = [
  'gateway',
  'gateway.shop',
  'nobody.shop',
  'example.com',
  'x.y.z',
  '.',
  '1.1.96.10.in-addr.arpa',
  'a'.repeat(63),
];

const question = fc
  .tuple(fc.constantFrom(...NAMES), fc.constantFrom(...TYPES), fc.nat(0xffff))
  .map(([name, type, id]) => encode({ type: 'query', id, questions: [{ name, type: type as 'A' }] }));
const mutated = fc
  .tuple(question, fc.array(fc.tuple(fc.nat(99), fc.nat(255)), { maxLength: 5 }), fc.option(fc.nat(99)))
  .map(([message, changes, length]) => {
    const copy = Buffer.from(message);
    for (const [at, byte] of changes) copy[at % copy.length] = byte;
    return length === null ? copy : copy.subarray(0, length);
  });
const garbage = fc.oneof(
  { weight: 4, arbitrary: mutated },
  fc.uint8Array({ maxLength: 700 }).map((bytes) => Buffer.from(bytes)),
);

/** It still answers, and so do both sides behind it. */
async function alive(): Promise<void> {
  for (const [name, data] of [
    ['gateway.shop', '10.96.1.1'],
    ['example.com', '192.0.2.1'],
  ] as const)
    expect((await ask(port, { questions: [{ type: 'A', name }] })).answers).toMatchObject([{ data }]);
}

test('datagrams', async () => {
  const stranger = createSocket('udp4');
  stranger.connect(port, '127.0.0.1');
  await once(stranger, 'connect');
  const replies: Buffer[] = [];
  stranger.on('message', (reply) => replies.push(reply));
  await fc.assert(
    fc.asyncProperty(fc.array(garbage, { minLength: 20, maxLength: 20 }), async (datagrams) => {
      for (const datagram of datagrams) stranger.send(datagram);
      await alive();
    }),
    { numRuns: 100 },
  );
  stranger.close();
  expect(replies.length).toBeGreaterThan(0);
  for (const reply of replies) {
    expect(reply.length).toBeGreaterThanOrEqual(12);
    expect(reply.length).toBeLessThanOrEqual(1_232);
    expect((reply[2] ?? 0) & 0x80).toBe(0x80);
  }
});

test('connections', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(garbage, { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      fc.boolean(),
      async (parts, framed, reset) => {
        const client = new RawClient(port);
        for (const part of parts) {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(part.length);
          client.send(framed ? Buffer.concat([length, part]) : part);
        }
        if (reset) client.socket.once('connect', () => client.socket.resetAndDestroy());
        else client.end();
        await client.closed;
        client.socket.destroy();
      },
    ),
    { numRuns: 150 },
  );
  await alive();
});

test('more connections than there may be: the rest is closed, and none stays', async () => {
  const clients = Array.from({ length: 200 }, () => new RawClient(port));
  await Promise.any(clients.map((client) => client.closed));
  for (const client of clients) client.socket.destroy();
  await alive();
});
