// Real sockets; the answers are made by the test.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withLength } from '../../../src/netstack/dns/framing.codec.ts';
import { serveConnection } from '../../../src/netstack/dns/tcp-connection.ts';
import { RawClient } from '../../support/peers.ts';

let server: Server;
let port = 0;
let served: Socket[];
let asked: Buffer[];
let answer: (message: Buffer) => Promise<Buffer | undefined>;
let idleMs = 60_000;
const clients: RawClient[] = [];

beforeEach(async () => {
  served = [];
  asked = [];
  answer = (message) => Promise.resolve(message);
  idleMs = 60_000;
  server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    served.push(socket);
    serveConnection(
      socket,
      {
        answer: (message) => {
          asked.push(Buffer.from(message));
          return answer(message);
        },
      },
      idleMs,
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as { port: number });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  for (const socket of served) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

function client(): RawClient {
  const made = new RawClient(port);
  clients.push(made);
  return made;
}
const question = (text: string): Buffer => withLength(Buffer.from(text));

describe('questions', () => {
  test('several in one segment', async () => {
    const peer = client().send(Buffer.concat(['one', 'two', 'three'].map(question)));
    expect((await peer.read(3 * 2 + 11)).toString('latin1')).toBe('\0\x03one\0\x03two\0\x05three');
  });

  test('byte by byte', async () => {
    const peer = client();
    for (const byte of question('slow')) peer.send(Buffer.from([byte]));
    expect((await peer.read(6)).toString('latin1')).toBe('\0\x04slow');
  });

  test('answers leave as they are ready, not in the order of the questions', async () => {
    const first = Promise.withResolvers<Buffer>();
    answer = (message) => (message.toString() === 'one' ? first.promise : Promise.resolve(message));
    const peer = client().send(Buffer.concat([question('one'), question('two')]));
    expect((await peer.read(5)).toString('latin1')).toBe('\0\x03two');
    first.resolve(Buffer.from('uno'));
    expect((await peer.read(5)).toString('latin1')).toBe('\0\x03uno');
  });

  test("half-close: the answers still come, then the server's end", async () => {
    const gate = Promise.withResolvers<void>();
    answer = async (message) => {
      await gate.promise;
      return message;
    };
    const peer = client()
      .send(Buffer.concat([question('one'), question('two')]))
      .end();
    while (asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
    gate.resolve();
    expect((await peer.readAll()).toString('latin1')).toBe('\0\x03one\0\x03two');
  });

  test('half-close without a question, and with half of one', async () => {
    await client().end().closed;
    await client().hex('0005 6161').end().closed;
  });

  test('what is no DNS ends the connection', async () => {
    answer = () => Promise.resolve(undefined);
    await client().send(question('GET / HTTP/1.1')).closed;
  });
});

describe('limits', () => {
  test('32 questions are in work; then the connection is not read until one is answered', async () => {
    const waiting: (() => void)[] = [];
    answer = (message) => new Promise((resolve) => waiting.push(() => resolve(message)));
    const peer = client().send(
      Buffer.concat(Array.from({ length: 100 }, (_, index) => question(`${index}`.padStart(3, '0')))),
    );
    while (waiting.length < 32) await new Promise((resolve) => setImmediate(resolve));
    // Another connection's whole life is time enough for a 33rd.
    answer = (message) => Promise.resolve(message);
    const other = client().send(question('other'));
    await other.read(7);
    expect(asked.filter((one) => one.length === 3).length).toBe(32);
    for (const release of waiting) release();
    expect((await peer.read(500)).length).toBe(500);
  });

  test('an asker that does not read is not read either: nothing piles up', async () => {
    const large = Buffer.alloc(60_000, 'x');
    answer = () => Promise.resolve(large);
    const peer = client();
    peer.socket.pause();
    const all = 2_000;
    peer.send(Buffer.concat(Array.from({ length: all }, () => question('give'))));
    // Until the server waits for the asker.
    while (served[0]?.writableNeedDrain !== true) await new Promise((resolve) => setImmediate(resolve));
    const [socket] = served;
    expect(socket?.writableLength).toBeLessThan(2 * 32 * 60_002);
    expect(asked.length).toBeLessThan(all);
    peer.socket.resume();
    let length = 0;
    while (length < all * 60_002) length += (await peer.read(60_002)).length;
    expect(asked.length).toBe(all);
  });

  test('silence ends it; so do bytes that trickle in', async () => {
    idleMs = 30;
    await client().closed;
    const peer = client();
    const trickle = setInterval(() => peer.socket.writable && peer.hex('00'), 5);
    peer.hex('ffff');
    await peer.closed;
    clearInterval(trickle);
  });

  test('a question that takes long is no silence', async () => {
    idleMs = 30;
    const gate = Promise.withResolvers<void>();
    answer = async (message) => {
      await gate.promise;
      return message;
    };
    const peer = client().send(question('long'));
    while (asked.length < 1) await new Promise((resolve) => setImmediate(resolve));
    // Two others have come, were silent, and are gone.
    await client().closed;
    await client().closed;
    gate.resolve();
    expect((await peer.read(6)).toString('latin1')).toBe('\0\x04long');
  });

  test('a reset in the middle of an answer is nothing', async () => {
    const gate = Promise.withResolvers<void>();
    answer = async (message) => {
      await gate.promise;
      return message;
    };
    const peer = client().send(question('one'));
    while (asked.length < 1) await new Promise((resolve) => setImmediate(resolve));
    const [socket] = served;
    peer.socket.resetAndDestroy();
    await new Promise((resolve) => socket?.once('close', resolve));
    gate.resolve();
    expect((await client().send(question('two')).read(5)).toString('latin1')).toBe('\0\x03two');
  });
});
