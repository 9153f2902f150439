// Bytes that are only lent, over real TLS: whoever keeps them finds them unchanged, whoever takes over late misses none.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { createSecureContext, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openTls } from '../../../src/netstack/http/open-socket.ts';
import { Muxer } from '../../../src/netstack/mux/muxer.ts';
import { type Borrower, type Lender, LentReader } from '../../../src/netstack/stream/lent-reader.ts';
import { joinStreams } from '../../../src/netstack/stream/pump.ts';
import { pem } from '../../cluster/support/tls.ts';

const MIB = 1024 * 1024;
const digest = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

async function port(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

/** A TLS connection to a server that does `serve`. */
async function open(serve: (socket: TLSSocket) => void): Promise<{ socket: TLSSocket; reader: LentReader }> {
  const server = createTlsServer({ cert: pem('server.pem'), key: pem('server.key') }, (socket) => {
    socket.on('error', () => undefined);
    serve(socket);
  });
  const secureContext = createSecureContext({ ca: pem('ca.pem') });
  const at = { host: '127.0.0.1', port: await port(server) };
  const socket = await openTls(at, { name: 'localhost', secureContext }, AbortSignal.timeout(10_000));
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  return { socket, reader: LentReader.of(socket) as LentReader };
}

/** The least that lends: a transport of a mux. */
class Transport extends Duplex implements Lender {
  readonly #socket: Socket;
  readonly #reader: LentReader;

  constructor(socket: Socket, reader: LentReader) {
    super({ highWaterMark: 256 * 1024 });
    this.#socket = socket;
    this.#reader = reader;
    socket.once('close', () => this.destroy());
  }

  lendTo(borrower: Borrower): void {
    this.#reader.lend(borrower);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

describe('a reader', () => {
  test('until somebody borrows, the socket reads as any other; early bytes come first', async () => {
    const { socket, reader } = await open((peer) => {
      peer.write('hello ');
      peer.once('data', () => peer.write('world'));
    });
    const first = ((await once(socket, 'data')) as [Buffer])[0].toString();
    socket.removeAllListeners('data').pause();
    socket.unshift(Buffer.from('left over, '));
    let text = '';
    const all = new Promise<void>((resolve) => {
      reader.lend({
        take: (bytes) => {
          text += bytes.toString();
          if (text.endsWith('world')) resolve();
        },
        settle: () => false,
      });
    });
    socket.write('go on');
    await all;
    expect(first + text).toBe('hello left over, world');
  });

  test('the end is an event as ever', async () => {
    const { socket, reader } = await open((peer) => peer.end('last words'));
    let text = '';
    reader.lend({ take: (bytes) => void (text += bytes.toString()), settle: () => false });
    await once(socket, 'end');
    await new Promise((resolve) => setImmediate(resolve));
    expect(text).toBe('last words');
  });

  test.each([0, 0.3, 1])('kept bytes never change (kept in %d of the turns)', async (share) => {
    const sent = randomBytes(6 * MIB);
    const { socket, reader } = await open((peer) => peer.end(sent));
    const kept: { bytes: Buffer; digest: string }[] = [];
    const hash = createHash('sha256');
    let turn: Buffer[] = [];
    reader.lend({
      take: (bytes) => {
        hash.update(bytes);
        turn.push(bytes);
      },
      settle: () => {
        const keeps = Math.random() < share;
        if (keeps) kept.push(...turn.map((bytes) => ({ bytes, digest: digest(bytes) })));
        turn = [];
        return keeps;
      },
    });
    await once(socket, 'end');
    await new Promise((resolve) => setImmediate(resolve));
    expect(hash.digest('hex')).toBe(digest(sent));
    for (const one of kept) expect(digest(one.bytes)).toBe(one.digest);
  });
});

test('a link that lends: fast, slow and stopping sockets and readers of other kinds get every byte unchanged', async () => {
  const sent = randomBytes(5 * MIB);
  const { socket, reader } = await open((peer) => {
    const far = new Muxer(peer, {
      role: 'server',
      onStream: (stream) => stream.on('error', () => undefined).end(sent),
    });
    peer.once('close', () => far.destroy());
  });
  const muxer = new Muxer(new Transport(socket, reader), { role: 'client' });
  const readers: ((one: Duplex) => Promise<string>)[] = [
    async (one) => {
      const hash = createHash('sha256');
      for await (const chunk of one as AsyncIterable<Buffer>) hash.update(chunk);
      return hash.digest('hex');
    },
    // Stops again and again, so that its socket fills.
    async (one) => {
      const hash = createHash('sha256');
      let count = 0;
      one.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        count += 1;
        if (count % 3 !== 0) return;
        one.pause();
        setTimeout(() => one.resume(), 2);
      });
      await once(one, 'end');
      return hash.digest('hex');
    },
  ];
  const local = createServer();
  const at = await port(local);
  const results: Promise<string>[] = readers.map((read) => read(muxer.open()));
  // Somebody who listens beside the pump, as the traffic journal does, keeps all chunks and looks at them later.
  const along: Buffer[] = [];
  for (const [index, read] of [...readers, ...readers].entries()) {
    const accepted = once(local, 'connection') as Promise<[Socket]>;
    const client = netConnect(at, '127.0.0.1');
    const [inside] = await accepted;
    const stream = muxer.open();
    if (index === 0) stream.on('data', (chunk: Buffer) => along.push(chunk));
    void joinStreams(inside, stream);
    results.push(read(client).finally(() => client.destroy()));
  }
  expect(await Promise.all(results)).toEqual(Array.from({ length: 6 }, () => digest(sent)));
  expect(digest(Buffer.concat(along))).toBe(digest(sent));
  muxer.destroy();
});
