// Writes that leave together: in their order, none lost at an end, and back-pressure as without.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { writeGathered } from '../../../src/agent/ingress/write-gathered.ts';
import { listening, portOf } from '../../support/ingress-world.ts';

const closers: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

/** Both ends of a connection. */
async function pair(): Promise<[Socket, Socket]> {
  const server = await listening(createServer());
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const near = connect(portOf(server), '127.0.0.1');
  const [far] = await accepted;
  closers.push(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return [near, far];
}

async function all(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

test('several sockets, several writes, and an end behind them', async () => {
  const pairs = await Promise.all([pair(), pair(), pair()]);
  for (const word of ['one ', 'two ', 'three'])
    for (const [near] of pairs) expect(writeGathered(near, Buffer.from(word))).toBe(true);
  const [[first], [second]] = pairs;
  // Its end does not wait for the others.
  first.end();
  second.write(' four');
  setImmediate(() => {
    for (const [near] of pairs) near.end();
  });
  expect(await Promise.all(pairs.map(([, far]) => all(far)))).toEqual([
    'one two three',
    'one two three four',
    'one two three',
  ]);
});

test('a reader that is slow is told of, and so is that it reads again', async () => {
  const [near, far] = await pair();
  far.pause();
  const chunk = Buffer.alloc(near.writableHighWaterMark);
  let sent = 0;
  while (!near.writableNeedDrain) {
    writeGathered(near, chunk);
    sent += chunk.length;
    // What the kernel takes is gone by then.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }
  let got = 0;
  far.on('data', (data: Buffer) => (got += data.length)).resume();
  await once(near, 'drain');
  near.end();
  await once(far, 'end');
  expect(got).toBe(sent);
});

test('a socket that is gone meanwhile is nobody’s concern', async () => {
  const [near] = await pair();
  const [other, far] = await pair();
  writeGathered(near, Buffer.from('lost'));
  writeGathered(other, Buffer.from('kept'));
  near.destroy();
  setImmediate(() => other.end());
  expect(await all(far)).toBe('kept');
});
