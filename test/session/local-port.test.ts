// A local port of the laptop as inbound streams reach it: the first connection to one that hangs waits, those behind it are refused at
// once, and it is found again without a command when it answers.
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { connectLocal, LocalPort } from '../../src/session/inbound/local-port.ts';
import { blackhole } from '../support/blackhole.ts';
import { closedPort, listening, portOf } from '../support/ingress-world.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function server(port = 0, host = '127.0.0.1'): Promise<Server & { count: number }> {
  const made = Object.assign(
    createServer((socket) => {
      made.count += 1;
      socket.on('error', () => undefined).resume();
    }),
    { count: 0 },
  );
  await (port === 0 && host === '127.0.0.1'
    ? listening(made)
    : new Promise<void>((resolve, reject) => made.once('error', reject).listen(port, host, resolve)));
  closers.push(() => made.close());
  return made;
}

describe('a local port', () => {
  test('takes connections on either loopback address', async () => {
    for (const host of ['127.0.0.1', '::1']) {
      const app = await server(0, host);
      (await new LocalPort(portOf(app), 'TCP').connect()).destroy();
    }
  });

  test('one that refuses is asked each time: the program may be there again at any moment', async () => {
    const port = await closedPort();
    const local = new LocalPort(port, 'TCP');
    await expect(local.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(local.silent).toBe(false);
    await server(port);
    (await local.connect()).destroy();
  });

  test('one that hangs: the first waits, the next ones are refused at once, and it is found again', async () => {
    const hole = await blackhole();
    const local = new LocalPort(hole.port, 'TCP', { localMs: 50, probeMs: 10 });
    const waiting = [local.connect(), local.connect()];
    for (const one of waiting) await expect(one).rejects.toThrow('no answer');
    expect(local.silent).toBe(true);
    await expect(local.connect()).rejects.toThrow('it did not answer a moment ago');
    await hole.stop();
    await expect.poll(() => local.silent).toBe(false);
    await server(hole.port);
    (await local.connect()).destroy();
  });

  test('both addresses together have the time of one', async () => {
    const hole = await blackhole();
    closers.push(() => hole.stop());
    const app = await server(hole.port, '::1');
    (await connectLocal(hole.port, 50)).destroy();
    await expect.poll(() => app.count).toBe(1);
  });
});
