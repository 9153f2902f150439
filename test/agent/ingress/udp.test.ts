// UDP of a taken Service: both ways, the way to the origin whenever the laptop is not there, and the limits. Real sockets, real links,
// and the laptop's half is the product's own (serve-inbound.ts).
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { LocalPort } from '../../../src/session/inbound/local-port.ts';
import { serveInbound } from '../../../src/session/inbound/serve-inbound.ts';
import { IngressWorld, type Laptop, type WorldOptions } from '../../support/ingress-world.ts';

const ALL = { kind: 'all' } as const;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function socketOn(port = 0): Promise<Socket> {
  const socket = createSocket('udp4').on('error', () => undefined);
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  closers.push(() => new Promise<void>((resolve) => socket.close(resolve)).catch(() => undefined));
  return socket;
}

/** Answers each datagram with `name` and what it got, and the port that it came from. */
async function app(name: string, port = 0): Promise<{ port: number; socket: Socket }> {
  const socket = await socketOn(port);
  socket.on('message', (datagram, from) => socket.send(`${name} ${datagram.toString('latin1')}`, from.port));
  return { port: socket.address().port, socket };
}

class Caller {
  readonly #socket: Socket;
  readonly #got: Buffer[] = [];
  readonly #port: number;

  constructor(socket: Socket, port: number) {
    this.#socket = socket;
    this.#port = port;
    socket.on('message', (datagram) => {
      this.#got.push(datagram);
      socket.emit('got');
    });
  }

  send(datagram: string | Buffer): void {
    this.#socket.send(datagram, this.#port, '127.0.0.1');
  }

  async next(): Promise<string> {
    while (this.#got.length === 0) await once(this.#socket, 'got');
    return (this.#got.shift() as Buffer).toString('latin1');
  }

  ask(datagram: string | Buffer): Promise<string> {
    this.send(datagram);
    return this.next();
  }
}

async function start(options: Partial<WorldOptions> = {}): Promise<IngressWorld> {
  const world = await IngressWorld.start({ originPort: (await app('origin')).port, protocol: 'UDP', ...options });
  closers.push(() => world.close());
  return world;
}

const caller = async (world: IngressWorld): Promise<Caller> => new Caller(await socketOn(), world.port);

async function laptopAt(world: IngressWorld, port: number): Promise<Laptop> {
  const laptop = await world.laptop({
    protocol: 'UDP',
    onStream: (stream, header) => void serveInbound(stream, header, new LocalPort(port, 'UDP')),
  });
  expect(await laptop.hold(ALL)).toMatchObject({ type: 'done' });
  return laptop;
}

describe('both ways', () => {
  test('without a laptop the origin answers, each caller its own', async () => {
    const world = await start();
    const [one, two] = [await caller(world), await caller(world)];
    one.send('1');
    two.send('2');
    expect([await one.next(), await two.next()]).toEqual(['origin 1', 'origin 2']);
    expect(world.flows).toBe(2);
  });

  test('the laptop, with empty and with the longest datagrams, in order', async () => {
    const world = await start();
    await laptopAt(world, (await app('laptop')).port);
    const one = await caller(world);
    // The first ones come while it is not decided yet where they go.
    for (const text of ['a', '', 'b']) one.send(text);
    expect([await one.next(), await one.next(), await one.next()]).toEqual(['laptop a', 'laptop ', 'laptop b']);
    const longest = 'x'.repeat(65_000);
    expect(await one.ask(longest)).toBe(`laptop ${longest}`);
  });

  test('the laptop speaks to a caller by itself', async () => {
    const world = await start();
    const { port, socket } = await app('laptop');
    const from = new Promise<number>((resolve) => socket.once('message', (_, { port: peer }) => resolve(peer)));
    await laptopAt(world, port);
    const one = await caller(world);
    await one.ask('1');
    socket.send('news', await from, '127.0.0.1');
    expect(await one.next()).toBe('news');
  });
});

describe('the laptop comes and goes', () => {
  test('a caller at the origin comes over with its next datagram, and goes back when the link is cut', async () => {
    const world = await start();
    const one = await caller(world);
    expect(await one.ask('1')).toBe('origin 1');
    const laptop = await laptopAt(world, (await app('laptop')).port);
    expect(await one.ask('2')).toBe('laptop 2');
    laptop.cut();
    await expect.poll(() => world.match()).toBe(undefined);
    expect(await one.ask('3')).toBe('origin 3');
    await laptop.connect();
    expect(await one.ask('4')).toBe('laptop 4');
    await laptop.ask({ type: 'leave' });
    expect(await one.ask('5')).toBe('origin 5');
    expect(world.flows).toBe(1);
  });

  test('nothing listens on its port: the origin answers, until it is asked again', async () => {
    const world = await start({ limits: { refusedMs: 300 } });
    const { port, socket } = await app('laptop');
    socket.close();
    await laptopAt(world, port);
    const one = await caller(world);
    // A refused datagram is lost, as it would be anywhere; a caller of UDP asks again.
    let answer: string | undefined;
    void one.next().then((text) => (answer = text));
    await expect
      .poll(() => {
        if (answer === undefined) one.send('1');
        return answer;
      })
      .toBe('origin 1');
    await app('laptop', port);
    const two = await caller(world);
    await expect.poll(() => two.ask('2')).toBe('laptop 2');
  });

  test('it is silent: what waits for it goes to the origin', async () => {
    const world = await start({ limits: { openingMs: 250 } });
    const laptop = await laptopAt(world, (await app('laptop')).port);
    laptop.stall();
    const one = await caller(world);
    for (const text of ['1', '2', '3']) one.send(text);
    expect([await one.next(), await one.next(), await one.next()]).toEqual(['origin 1', 'origin 2', 'origin 3']);
  });

  test('a preview without its laptop drops datagrams and holds nothing', async () => {
    const world = await start({ originPort: null });
    const one = await caller(world);
    one.send('1');
    const laptop = await laptopAt(world, (await app('laptop')).port);
    expect(await one.ask('2')).toBe('laptop 2');
    laptop.cut();
    await expect.poll(() => world.flows).toBe(0);
  });
});

describe('limits', () => {
  test('too many callers: the one that was silent longest makes room, and may come again', async () => {
    const world = await start({ limits: { flowsMax: 2 } });
    const [one, two, three] = [await caller(world), await caller(world), await caller(world)];
    expect(await one.ask('1')).toBe('origin 1');
    expect(await two.ask('2')).toBe('origin 2');
    expect(await one.ask('1')).toBe('origin 1');
    expect(await three.ask('3')).toBe('origin 3');
    expect(world.flows).toBe(2);
    expect(await two.ask('2')).toBe('origin 2');
    expect(world.flows).toBe(2);
  });

  test('garbage of the laptop: lengths that are none of UDP, half datagrams', async () => {
    const world = await start();
    const laptop = await world.laptop({
      protocol: 'UDP',
      onStream: (stream) => {
        stream.write(Buffer.from('00 0b 7b 22 6f 6b 22 3a 74 72 75 65 7d'.replaceAll(' ', ''), 'hex'));
        stream.write(
          Buffer.concat([Buffer.from('ffff', 'hex'), Buffer.alloc(65_535), Buffer.from('0002686900', 'hex')]),
        );
        stream.resume();
      },
    });
    await laptop.hold(ALL);
    const one = await caller(world);
    expect(await one.ask('1')).toBe('hi');
    expect(world.log).toEqual([]);
  });
});
