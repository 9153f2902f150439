// What every Dialer has to do (src/netstack/dialer.ts), as tests to be run against each one: direct, agent, agentless, company proxy.
// Call `dialerCompliance` in a test file of the dialer. Real peers on the loopback; no time is measured, only a barrier of round trips.
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ErrorCode, KtError } from '../../src/errors.ts';
import type { Connection, Dialer, DialOptions, Target } from '../../src/netstack/dialer.ts';
import { barrier, closed, count, exchange, hash, read, readAll } from './streams.ts';

export interface DialerCapabilities {
  readonly udp: boolean;
  readonly resolve: boolean;
  readonly halfClose: boolean;
  /** `opened` tells DIAL_REFUSED. Else a refused dial only fails somehow. */
  readonly refused: boolean;
  /** An unknown name is told apart. Default true; else the dial fails somehow. */
  readonly unknown?: boolean;
  /** A reset of the far end arrives as an error. Default true; else as an end. */
  readonly reset?: boolean;
  /** `dial` itself waits for the far end, and rejects where that refuses. Default false: `opened` tells. */
  readonly settles?: boolean;
  /** There can be a target that never answers. */
  readonly blackhole?: boolean;
}

/** The far side of a dialer, made anew for each test. */
export interface DialerFixture {
  readonly dialer: Dialer;
  /** Serves TCP in the dialer's world; `onSocket` gets a half-open socket. Gives the target to dial. */
  serve(onSocket: (socket: Socket) => void): Promise<Target>;
  /** A target where nobody listens. */
  refusing(): Promise<Target>;
  /** A name that does not exist. */
  readonly unknown: Target;
  /** A target that never answers. With `capabilities.blackhole`. */
  blackhole?(): Promise<Target>;
  /** Echoes datagrams. With `capabilities.udp`. */
  echoDatagrams?(): Promise<Target>;
  /** A name that has an IPv4 address and no IPv6 one. With `capabilities.resolve`. */
  readonly known?: { readonly name: string; readonly address: string };
  /** How many dials the dialer still holds something for, where it can tell. */
  left?(): number | Promise<number>;
  close(): Promise<void>;
}

/** More than all buffers on the way may hold together: kernel, budget of the link, streams. */
const FLOOD_BYTES = 128 * 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024, 'kt');
const MANY = 64;
const IN_A_ROW = 1_000;

/** What a dialer can't do is no skipped test: it is none. */
const testIf = (can: boolean | undefined): typeof test | (() => void) => (can ? test : () => undefined);

export function dialerCompliance(
  name: string,
  capabilities: DialerCapabilities,
  makeFixture: () => Promise<DialerFixture>,
): void {
  describe(`${name} as a dialer`, () => {
    let fixture: DialerFixture;
    let opened: Connection[];

    beforeEach(async () => {
      opened = [];
      fixture = await makeFixture();
    });

    afterEach(async () => {
      for (const { stream } of opened) stream.on('error', () => undefined).destroy();
      await fixture.close();
    });

    const dial = async (target: Target, options?: DialOptions): Promise<Connection> => {
      const connection = await fixture.dialer.dial(target, options);
      connection.stream.on('error', () => undefined);
      opened.push(connection);
      return connection;
    };
    const echo = (): Promise<Target> => fixture.serve((socket) => socket.pipe(socket));

    test('carries bytes both ways, unchanged', async () => {
      const { stream, opened } = await dial(await echo());
      await opened;
      const bytes = randomBytes(3 * 1024 * 1024 + 17);
      stream.write(bytes);
      expect(hash(await read(stream, bytes.length))).toBe(hash(bytes));
    });

    test('early data: bytes written before `opened` arrive, first', async () => {
      const { stream, opened } = await dial(await echo());
      stream.write('early ');
      await opened;
      stream.write('late');
      expect((await read(stream, 10)).toString()).toBe('early late');
    });

    test('with `settle` the dial resolves when it is open', async () => {
      const { stream, opened } = await dial(await echo(), { settle: true });
      await opened;
      stream.write('ping');
      expect((await read(stream, 4)).toString()).toBe('ping');
    });

    test('the far end may speak first', async () => {
      const target = await fixture.serve((socket) => socket.write('220 ready\r\n'));
      const { stream, opened } = await dial(target);
      await opened;
      expect((await read(stream, 11)).toString()).toBe('220 ready\r\n');
    });

    testIf(capabilities.halfClose)('half-close: after our end the answer still comes', async () => {
      const target = await fixture.serve((socket) => {
        const chunks: Buffer[] = [];
        socket.on('data', (chunk: Buffer) => chunks.push(chunk));
        socket.on('end', () => socket.end(`got ${Buffer.concat(chunks).toString()}`));
      });
      const { stream } = await dial(target);
      stream.end('a whole question');
      expect((await readAll(stream)).toString()).toBe('got a whole question');
    });

    testIf(capabilities.halfClose)('half-close: after the far end ended, our bytes still arrive', async () => {
      const received = Promise.withResolvers<string>();
      const target = await fixture.serve((socket) => {
        socket.end('over');
        readAll(socket).then((bytes) => received.resolve(bytes.toString()), received.reject);
      });
      const { stream } = await dial(target);
      expect((await readAll(stream)).toString()).toBe('over');
      stream.end('one more thing');
      expect(await received.promise).toBe('one more thing');
    });

    test('the end of the far end arrives after its last byte', async () => {
      const target = await fixture.serve((socket) => {
        socket.end(Buffer.alloc(1024 * 1024, 'x'));
        socket.resume();
      });
      const { stream } = await dial(target);
      expect((await readAll(stream)).length).toBe(1024 * 1024);
    });

    test('back-pressure: a far end that does not read stops the writer; nothing is lost', async () => {
      const far = Promise.withResolvers<Socket>();
      const target = await fixture.serve((socket) => far.resolve(socket.pause()));
      const { stream } = await dial(target, { settle: true });
      let accepted = 0;
      const writing = (async (): Promise<void> => {
        while (accepted < FLOOD_BYTES) {
          accepted += CHUNK.length;
          if (!stream.write(CHUNK)) await once(stream, 'drain');
        }
        stream.end();
      })();
      const socket = await far.promise;
      await barrier(await dial(await echo()));
      expect(accepted).toBeLessThan(FLOOD_BYTES);
      expect(await count(socket, FLOOD_BYTES)).toBe(FLOOD_BYTES);
      await writing;
    });

    test('back-pressure: a program that does not read stops the far end; nothing is lost', async () => {
      let accepted = 0;
      const target = await fixture.serve((socket) => {
        socket.resume();
        const write = (): void => {
          while (accepted < FLOOD_BYTES) {
            accepted += CHUNK.length;
            if (!socket.write(CHUNK)) {
              socket.once('drain', write);
              return;
            }
          }
          socket.end();
        };
        write();
      });
      const { stream } = await dial(target, { settle: true });
      await barrier(await dial(await echo()));
      expect(accepted).toBeLessThan(FLOOD_BYTES);
      expect(await count(stream, FLOOD_BYTES)).toBe(FLOOD_BYTES);
    });

    test('a reset of the far end ends the stream', async () => {
      const target = await fixture.serve((socket) => {
        socket.once('data', () => socket.resetAndDestroy());
      });
      const { stream, opened } = await dial(target);
      await opened;
      stream.write('go away');
      stream.resume();
      await closed(stream, capabilities.halfClose && capabilities.reset !== false);
      if (capabilities.reset !== false) expect(stream.errored).toBeInstanceOf(Error);
    });

    test('the far end sees that the program is gone', async () => {
      const gone = Promise.withResolvers<void>();
      const target = await fixture.serve((socket) => {
        socket.write('hello');
        socket.on('end', () => socket.end());
        socket.on('close', () => gone.resolve());
        socket.resume();
      });
      const { stream } = await dial(target);
      await read(stream, 5);
      stream.destroy();
      await gone.promise;
    });

    test('a refused dial fails with its reason, and the stream is destroyed', async () => {
      const { code, stream } = await failure(await fixture.refusing());
      if (capabilities.refused) expect(code).toBe('DIAL_REFUSED');
      if (stream) expect(stream.destroyed).toBe(true);
    });

    test('a refused dial with early data fails the same way', async () => {
      const { code } = await failure(await fixture.refusing(), {}, (stream) => stream.end('too early'));
      if (capabilities.refused) expect(code).toBe('DIAL_REFUSED');
    });

    testIf(capabilities.refused)('with `settle` it is the dial that rejects', async () => {
      const dialing = fixture.dialer.dial(await fixture.refusing(), { settle: true });
      await expect(dialing).rejects.toMatchObject({ code: 'DIAL_REFUSED' });
    });

    testIf(!capabilities.settles)('nobody has to look at `opened` or at errors', async () => {
      const { stream } = await fixture.dialer.dial(await fixture.refusing());
      if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
      // An unhandled rejection would be told in the turn after it, and would fail the run.
      await turn();
      expect(stream.destroyed).toBe(true);
    });

    test('an unknown name fails, as DIAL_NOT_FOUND where the dialer can know', async () => {
      const { code } = await failure(fixture.unknown);
      if (capabilities.unknown !== false) expect(code).toBe('DIAL_NOT_FOUND');
    });

    testIf(capabilities.blackhole)('a target that never answers is DIAL_TIMEOUT after timeoutMs', async () => {
      const target = await fixture.blackhole?.();
      expect((await failure(target as Target, { timeoutMs: 50 })).code).toBe('DIAL_TIMEOUT');
    });

    testIf(capabilities.blackhole)('a dial that is cancelled while it waits is CANCELLED', async () => {
      const target = (await fixture.blackhole?.()) as Target;
      const cancel = new AbortController();
      const failing = failure(target, { signal: cancel.signal });
      await barrier(await dial(await echo()));
      cancel.abort();
      expect((await failing).code).toBe('CANCELLED');
    });

    test('a dial that is cancelled at once, or before, is CANCELLED', async () => {
      const target = await echo();
      const cancel = new AbortController();
      const failing = failure(target, { signal: cancel.signal });
      cancel.abort();
      expect((await failing).code).toBe('CANCELLED');
      expect((await failure(target, { signal: AbortSignal.abort() })).code).toBe('CANCELLED');
      expect((await failure(target, { signal: AbortSignal.abort(), settle: true })).code).toBe('CANCELLED');
    });

    test('a signal that aborts after `opened` does not touch the stream', async () => {
      const cancel = new AbortController();
      const { stream, opened } = await dial(await echo(), { signal: cancel.signal });
      await opened;
      cancel.abort();
      stream.write('still here');
      expect((await read(stream, 10)).toString()).toBe('still here');
    });

    test('many dials at once each have their own bytes', async () => {
      const target = await echo();
      const answers = await Promise.all(
        Array.from({ length: MANY }, async (_, index) => {
          const { stream, opened } = await dial(target);
          const text = `number ${index};`.repeat(index + 1);
          stream.write(text);
          await opened;
          return (await read(stream, text.length)).toString() === text;
        }),
      );
      expect(answers).toEqual(Array.from({ length: MANY }, () => true));
    });

    // A thousand TLS handshakes, where a dial is a connection to the API server.
    test('a thousand dials one after the other leave nothing', { timeout: 60_000 }, async () => {
      const there = new Set<Socket>();
      let served = 0;
      const gone = new EventEmitter();
      const target = await fixture.serve((socket) => {
        there.add(socket);
        served += 1;
        socket.on('end', () => socket.end());
        socket.on('close', () => {
          there.delete(socket);
          gone.emit('gone');
        });
        socket.on('data', (chunk) => socket.write(chunk));
      });
      for (let index = 0; index < IN_A_ROW; index += 1) {
        const { stream } = await fixture.dialer.dial(target);
        stream.on('error', () => undefined);
        stream.write('x');
        await read(stream, 1);
        const over = closed(stream, true);
        // Both ways to leave: at an end of both sides, and at once.
        if (capabilities.halfClose && index % 2 === 0) stream.end();
        else stream.destroy();
        stream.resume();
        await over;
      }
      while (there.size > 0) await once(gone, 'gone');
      expect(served).toBe(IN_A_ROW);
      expect(await fixture.left?.()).toBeFalsy();
    });

    testIf(!capabilities.resolve)('names are UNSUPPORTED', async () => {
      await expect(fixture.dialer.resolve(fixture.unknown.host, 'A')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    });

    testIf(capabilities.resolve)('resolve: an address; NODATA for another type; no such name', async () => {
      const { name: known = '', address } = fixture.known ?? {};
      const { found, records } = await fixture.dialer.resolve(known, 'A');
      expect(found).toBe(true);
      expect(records.filter(({ type }) => type === 'A').map(({ data }) => data)).toContain(address);
      for (const { ttl, name } of records) {
        expect(ttl).toBeGreaterThanOrEqual(0);
        expect(name).not.toMatch(/\.$/);
      }
      const other = await fixture.dialer.resolve(known, 'AAAA');
      expect({ found: other.found, addresses: other.records.filter(({ type }) => type === 'AAAA') }).toEqual({
        found: true,
        addresses: [],
      });
      expect(await fixture.dialer.resolve(fixture.unknown.host, 'A')).toEqual({ found: false, records: [] });
    });

    testIf(capabilities.udp)('datagrams come back one by one, also empty and long ones', async () => {
      const flow = await fixture.dialer.datagrams((await fixture.echoDatagrams?.()) as Target);
      const datagrams = [Buffer.from('a'), Buffer.alloc(0), Buffer.alloc(8_000, 'b')];
      // One after the other: UDP keeps no order.
      for (const datagram of datagrams) expect(await exchange(flow, datagram)).toEqual(datagram);
      const ended = new Promise((resolve) => {
        flow.onClose = resolve;
      });
      flow.close();
      expect(await ended).toBeUndefined();
    });

    testIf(capabilities.udp)('a flow that was closed takes datagrams and drops them', async () => {
      const flow = await fixture.dialer.datagrams((await fixture.echoDatagrams?.()) as Target);
      flow.close();
      flow.close();
      flow.send(Buffer.from('late'));
    });

    testIf(!capabilities.udp)('datagrams are UNSUPPORTED', async () => {
      await expect(fixture.dialer.datagrams(await echo())).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    });

    /** Dials what must fail: by the dial itself, or by `opened`. */
    async function failure(
      target: Target,
      options?: DialOptions,
      use?: (stream: Duplex) => void,
    ): Promise<{ code: ErrorCode; stream?: Duplex }> {
      let stream: Duplex | undefined;
      try {
        const connection = await dial(target, options);
        stream = connection.stream;
        use?.(stream);
        await connection.opened;
      } catch (error) {
        return { code: (error as KtError).code, ...(stream ? { stream } : {}) };
      }
      throw new Error(`the dial of ${target.host}:${target.port} succeeded`);
    }
  });
}
