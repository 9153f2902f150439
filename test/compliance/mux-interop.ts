// What our muxer must do with every other implementation of yamux, in both roles: one suite, given a peer that does the jobs of
// test/support/mux-jobs.ts. Called by test/netstack/mux/interop-libp2p.test.ts and test/e2e/mux-interop-go.test.ts.
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Muxer } from '../../src/netstack/mux/muxer.ts';
import type { MuxStream } from '../../src/netstack/mux/stream.ts';
import { randomNumbers } from '../support/duplex-pair.ts';
import { checked, digest, echo, firstLine } from '../support/mux-jobs.ts';
import { failure, readAll } from '../support/mux-peers.ts';
import { closed, read } from './streams.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** What every stream starts with (spec). */
const WINDOW = 256 * KIB;

export interface InteropPeer {
  /** Our end of the line. */
  readonly transport: Duplex;
  /** Streams that are open when a go-away goes either way go on, as the spec has it. libp2p ends them. */
  readonly keepsStreamsAtGoAway: boolean;
  /** Called when the line is gone: what the peer found wrong with us, one entry each. */
  readonly complaints: () => Promise<readonly string[]>;
}

/** `role` is the peer's. */
export type MakePeer = (role: 'client' | 'server') => Promise<InteropPeer>;

export function muxInteropSuite(name: string, makePeer: MakePeer): void {
  describe.each(['client', 'server'] as const)(`${name}, our muxer is the %s`, (role) => {
    let link: Link;
    beforeEach(async () => {
      link = new Link(role, await makePeer(role === 'client' ? 'server' : 'client'));
    });
    afterEach(() => link.end());
    cases(() => link);
  });
}

function cases(current: () => Link): void {
  test.each([1, 2, 3])('random echo on many streams at once, opened by both sides (seed %i)', async (seed) => {
    const link = current();
    const next = randomNumbers(seed);
    const sizes = Array.from({ length: 60 }, () => Math.floor(next() ** 6 * MIB));
    sizes.push(0, 1, WINDOW - 5, WINDOW, WINDOW + 1);
    const calls = link.ask(`call 60 ${100 * KIB}`);
    await Promise.all(sizes.map((size, index) => link.echoes(size, seed * 1_000 + index)));
    expect(await calls).toBe('ok');
  });

  test('a thousand streams one after the other, on a link that stays', async () => {
    for (let round = 0; round < 1_000; round += 1) await current().echoes(round % 50, round);
  });

  describe('half-close', () => {
    test('ours first: the answer to all of it comes after our end', async () => {
      const bytes = randomBytes(1, 3 * WINDOW);
      const stream = current().job('digest');
      stream.end(bytes);
      await once(stream, 'finish');
      expect(String(await readAll(stream))).toBe(digest(bytes));
    });

    test("the peer's first: what we send after its end arrives", async () => {
      const link = current();
      const bytes = randomBytes(2, 3 * WINDOW);
      const stream = link.job('end-first a');
      expect(await readAll(stream)).toHaveLength(0);
      const report = link.report('a');
      stream.end(bytes);
      expect(await report).toBe(digest(bytes));
    });

    test('ours first on a stream that the peer opened: what it sends after our end arrives', async () => {
      const link = current();
      const pushed = link.pushed();
      expect(await link.ask(`push ${3 * WINDOW}`)).toBe('ok');
      expect(checked(await pushed)).toHaveLength(3 * WINDOW);
    });

    test('an end without a byte, both ways', async () => {
      expect(await current().ask('echo')).toBe('');
    });
  });

  describe('reset', () => {
    test("the peer's: the stream fails, others go on", async () => {
      const link = current();
      const stream = link.job('reset');
      stream.resume();
      expect(await failure(stream)).toMatchObject({ code: 'STREAM_RESET' });
      await link.echoes(2 * WINDOW, 3);
    });

    test('ours, while the peer waits: it sees a reset, not an end', async () => {
      const link = current();
      const stream = link.job('watch a');
      await read(stream, 1);
      const report = link.report('a');
      stream.write(randomBytes(4, 100 * KIB));
      stream.reset();
      expect(await report).toBe('reset');
    });

    test('ours, in the middle of what the peer sends and of what we send', async () => {
      const link = current();
      const [down, up] = [link.job(`source ${16 * MIB}`), link.job('echo')];
      up.write(randomBytes(5, 2 * MIB));
      await Promise.all([read(down, MIB), read(up, MIB)]);
      down.reset();
      up.reset();
      await link.echoes(2 * WINDOW, 6);
    });
  });

  describe('a stalled stream stalls no other', () => {
    test('the peer does not read', async () => {
      const link = current();
      const bytes = randomBytes(7, 4 * MIB);
      const stuck = link.job('stall a');
      stuck.end(bytes);
      await Promise.all([1, 2, 3, 4].map((seed) => link.echoes(MIB, seed)));
      expect(await link.ask(`call 10 ${2 * WINDOW}`)).toBe('ok');
      // The peer has no more than the window of it, and takes the rest when it reads again.
      expect(stuck.writableLength).toBeGreaterThanOrEqual(3 * MIB);
      expect(await link.ask('release a')).toBe('ok');
      expect(String(await readAll(stuck))).toBe(digest(bytes));
    });

    test('we do not read', async () => {
      const link = current();
      const stuck = Array.from({ length: 8 }, () => link.job(`source ${2 * MIB}`));
      for (const stream of stuck) stream.end();
      await Promise.all([1, 2, 3, 4].map((seed) => link.echoes(MIB, seed)));
      expect(await link.ask(`call 10 ${2 * WINDOW}`)).toBe('ok');
      for (const stream of stuck) expect(stream.readableLength).toBeLessThanOrEqual(WINDOW);
      for (const sent of await Promise.all(stuck.map(readAll))) expect(checked(sent)).toHaveLength(2 * MIB);
    });
  });

  test('bulk: 16 MiB each way at once, exact', async () => {
    const link = current();
    const bytes = randomBytes(8, 16 * MIB);
    const [up, down] = [link.job('digest'), link.job(`source ${16 * MIB}`)];
    up.end(bytes);
    down.end();
    const [answer, sent] = await Promise.all([readAll(up), readAll(down)]);
    expect(String(answer)).toBe(digest(bytes));
    expect(checked(sent)).toHaveLength(16 * MIB);
  });

  test('ping, both ways, also beside bulk', async () => {
    const link = current();
    const bulk = link.echoes(4 * MIB, 9);
    const trips = await Promise.all([link.muxer.ping(), link.muxer.ping(), link.muxer.ping()]);
    for (const trip of trips) expect(trip).toBeGreaterThanOrEqual(0);
    expect(await link.ask('ping')).toBe('ok');
    await bulk;
  });

  describe('go-away', () => {
    test('ours: the peer opens no more streams, those that are open go on', async () => {
      const link = current();
      const before = await link.halfEcho();
      link.muxer.goAway();
      expect(await link.ask('open')).toBe('refused');
      if (link.peer.keepsStreamsAtGoAway) await link.restOfEcho(before);
      else before.reset();
      expect(await link.muxer.ping()).toBeGreaterThanOrEqual(0);
    });

    test("the peer's: we open no more streams, those that are open go on, the link stays", async () => {
      const link = current();
      const before = await link.halfEcho();
      await link.ask('go-away');
      // Whatever the peer sent before its answer to this has come.
      await link.muxer.ping();
      expect(() => link.muxer.open()).toThrow(expect.objectContaining({ code: 'LINK_LOST' }));
      if (link.peer.keepsStreamsAtGoAway) await link.restOfEcho(before);
      else before.reset();
      expect(link.muxer.closed).toBe(false);
    });
  });
}

/** Our end of a link to a peer that does jobs. */
class Link {
  readonly muxer: Muxer;
  readonly peer: InteropPeer;
  readonly #reports = new Map<string, (result: string) => void>();
  readonly #faults: unknown[] = [];
  #onPushed: (bytes: Promise<Buffer>) => void = () => undefined;

  constructor(role: 'client' | 'server', peer: InteropPeer) {
    this.peer = peer;
    this.muxer = new Muxer(peer.transport, {
      role,
      onStream: (stream) => void this.#serve(stream),
      onClose: (error) => this.#faults.push(error),
    });
  }

  /** Nothing is left behind, and nobody had anything to complain of. */
  async end(): Promise<void> {
    for (let trip = 0; trip < 50 && this.muxer.streamCount > 0 && !this.muxer.closed; trip += 1)
      await this.muxer.ping();
    expect([this.#faults, this.muxer.streamCount]).toEqual([[], 0]);
    this.muxer.destroy();
    expect(await this.peer.complaints()).toEqual([]);
  }

  job(line: string): MuxStream {
    const stream = this.muxer.open();
    stream.write(`${line}\n`);
    return stream;
  }

  async ask(line: string): Promise<string> {
    const stream = this.job(line);
    stream.end();
    return String(await readAll(stream));
  }

  report(tag: string): Promise<string> {
    return new Promise((resolve) => this.#reports.set(tag, resolve));
  }

  /** What comes on the next stream that the peer opens to push. */
  pushed(): Promise<Buffer> {
    return new Promise((resolve) => {
      this.#onPushed = resolve;
    });
  }

  /** Sends `size` bytes in random pieces, ends, and gets the same back. */
  async echoes(size: number, seed: number): Promise<void> {
    const [bytes, next] = [randomBytes(seed, size), randomNumbers(seed)];
    const stream = this.job('echo');
    const back = readAll(stream);
    for (let at = 0; at < size; ) {
      const piece = bytes.subarray(at, at + 1 + Math.floor(next() ** 2 * WINDOW));
      at += piece.length;
      if (!stream.write(piece)) await once(stream, 'drain');
    }
    stream.end();
    const got = await back;
    if (!got.equals(bytes)) expect(digest(got)).toBe(digest(bytes));
    await closed(stream, true);
  }

  async halfEcho(): Promise<MuxStream> {
    const stream = this.job('echo');
    stream.write('before');
    expect(String(await read(stream, 6))).toBe('before');
    return stream;
  }

  async restOfEcho(stream: MuxStream): Promise<void> {
    const bytes = randomBytes(10, 2 * WINDOW);
    stream.end(bytes);
    expect(digest(await readAll(stream))).toBe(digest(bytes));
  }

  async #serve(stream: MuxStream): Promise<void> {
    const [job, tag = '', ...result] = (await firstLine(stream)).split(' ');
    if (job === 'echo') echo(stream);
    else if (job === 'end-first') {
      stream.end();
      this.#onPushed(readAll(stream));
    } else if (job === 'report') {
      stream.resume().end();
      this.#reports.get(tag)?.(result.join(' '));
    } else this.#faults.push(`a stream that starts with ${job}`);
  }
}

/** Bytes that follow from the seed. */
function randomBytes(seed: number, length: number): Buffer {
  const next = randomNumbers(seed);
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(Math.floor(next() * 2 ** 32), at);
  return bytes;
}
