// Must: who asks a meshed Service without the mark notices nothing. Each kind of traffic from a pod to one Service, before and during mesh;
// everything that both sides saw has to be the same, but the caller's address: in X-Forwarded-For, while the socket's is the agent's.
// Prints the table of docs/exchange.md.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { leftovers } from './support/inbound.ts';
import { kubectl, Laptop } from './support/kt.ts';
import { Caller, deployTarget, removeTarget } from './support/transparency.ts';

const NAME = 'kt-t-transparent';
const laptop = new Laptop();

beforeAll(async () => {
  await removeTarget(NAME);
  await deployTarget(NAME);
}, 120_000);
afterEach(() => laptop.stopAll());
afterAll(async () => {
  await laptop.close();
  await removeTarget(NAME);
});

/** Every case, and what is compared of it. */
const COMPARED: Readonly<Record<string, string>> = {
  'Host and fields': 'request line, fields with their order and letters, the answer’s fields and reason phrase',
  'X-Forwarded-For that is there': 'as above; the caller’s address is appended',
  'body of 64 MiB up': 'SHA-256, length',
  'body of 64 MiB down': 'SHA-256, length',
  'chunked body and trailers up': 'body, trailers',
  'trailers down': 'body, trailers, `Trailer`',
  '100-continue': 'the 100 comes before the body, the answer',
  '100-continue refused': 'no 100, 417, the connection closes',
  'keep-alive reuse': '20 requests on one connection of the caller, and on one of the pod’s',
  'server-sent events': 'each event at its time, the fields',
  websocket: 'handshake, subprotocol, text, 1 MiB binary, ping, close code and reason',
  'h2c (HTTP/2 without TLS)': 'pseudo-fields, body, trailers both ways',
  'gRPC (grpc-js)': 'unary, server and bidirectional streams, metadata, error with binary details',
  'TLS on a meshed port': 'certificate, cipher, version, request and answer',
  'response after 90 s': 'the answer and its time',
};

/** Cases whose protocol has no place for X-Forwarded-For, or whose answer is not the echo that tells it. */
const UNTOLD = /^(TLS|response after|body of 64 MiB down|trailers down|100-continue refused|keep-alive|server-sent)/;

test('before and during mesh: all the same', { timeout: 420_000 }, async () => {
  const caller = await Caller.make(NAME);
  const address = await kubectl(['get', 'pod', '-l', 'app=gateway', '-o', 'jsonpath={.items[0].status.podIP}']);
  const first = caller.start();
  await first.fast;
  // While the mesh begins, one request of before waits for its answer: it stays with the pod that it was made to.
  const kt = laptop.start(['mesh', NAME, '--skipPortChecking', '--versionMark', 'anna', '--output', 'json']);
  await kt.event('holding');
  // New connections come to the agent from when its address is the peer's.
  const agent = await kubectl(['get', 'pod', '-l', `kt/service=${NAME}`, '-o', 'jsonpath={.items[0].status.podIP}']);
  await kt.event('kept');
  const second = caller.start();
  const before = await first.seen;
  const during = await second.seen;
  await kt.stop();

  const rows = Object.keys(before).map((name) => {
    const [one, two] = [before[name], during[name]];
    const same = JSON.stringify(one?.record) === JSON.stringify(two?.record);
    const address = two?.forwarded === undefined ? '' : 'the caller';
    return `| ${name} | ${COMPARED[name]} | ${same ? 'the same' : 'different'} | ${address} |`;
  });
  console.log(
    `| traffic from a pod | compared | during mesh | X-Forwarded-For |\n|---|---|---|---|\n${rows.join('\n')}`,
  );
  for (const [name, { record, forwarded, peer }] of Object.entries(during)) {
    expect(JSON.stringify(record), name).not.toContain('"failed: ');
    expect({ [name]: record }).toEqual({ [name]: before[name]?.record });
    expect(forwarded, name).toBe(UNTOLD.test(name) ? undefined : address);
    expect([agent, undefined], name).toContain(peer);
    expect([address, undefined], name).toContain(before[name]?.peer);
    if (!name.includes('that is there')) expect(before[name]?.forwarded, name).toBe(undefined);
  }
  expect(Object.keys(during).toSorted()).toEqual(Object.keys(COMPARED).toSorted());
  expect(await leftovers(NAME)).toBe('');
});
