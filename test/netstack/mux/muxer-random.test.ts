// Random programs on both sides of a link whose transport cuts at random: every byte arrives, in order, and nothing is left behind.
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MuxStream } from '../../../src/netstack/mux/stream.ts';
import { randomCuts, randomNumbers } from '../../support/duplex-pair.ts';
import { type MuxEnd, muxPair, turns } from '../../support/mux-peers.ts';

/** What one stream does. Its first bytes tell the other side the number of its program. */
interface Program {
  readonly opener: 'client' | 'server';
  /** echo: sends back what comes; answer: reads to the end, then sends `back`; first: sends `back` and ends before it reads. */
  readonly kind: 'echo' | 'answer' | 'first';
  /** Sizes of the opener's writes. */
  readonly writes: readonly number[];
  readonly back: number;
  /** Who breaks it off, after how many bytes were read there. */
  readonly reset: { readonly by: 'opener' | 'other'; readonly after: number } | undefined;
  /** Chance of a pause after each chunk that is read. */
  readonly slowness: number;
  readonly seed: number;
}

const program: fc.Arbitrary<Program> = fc.record({
  opener: fc.constantFrom('client' as const, 'server' as const),
  kind: fc.constantFrom('echo' as const, 'answer' as const, 'first' as const),
  writes: fc.array(fc.oneof(fc.nat(40), fc.nat(5_000), fc.nat(150_000)), { maxLength: 6 }),
  back: fc.nat(300_000),
  reset: fc.option(fc.record({ by: fc.constantFrom('opener' as const, 'other' as const), after: fc.nat(100_000) }), {
    nil: undefined,
    freq: 3,
  }),
  slowness: fc.constantFrom(0, 0.1, 0.7),
  seed: fc.integer(),
});

const bytesOf = (seed: number, length: number): Buffer => {
  const next = randomNumbers(seed);
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 1) bytes[at] = next() * 256;
  return bytes;
};
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

interface Outcome {
  readonly bytes: Buffer;
  readonly error: Error | null;
}

/** Reads to the end or to the reset, with pauses; waits for `each` per chunk. */
function read(
  stream: MuxStream,
  slowness: number,
  seed: number,
  each: (chunk: Buffer, read: number) => unknown,
): Promise<Outcome> {
  const chance = randomNumbers(seed);
  const chunks: Buffer[] = [];
  let length = 0;
  let work = Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => void work.then(() => resolve({ bytes: Buffer.concat(chunks), error: stream.errored }));
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      const at = length;
      stream.pause();
      work = work.then(async () => {
        await each(chunk, at);
        if (chance() < slowness) await turns(3);
        stream.resume();
      });
    });
    stream.on('end', finish).on('close', finish);
  });
}

const write = (stream: MuxStream, bytes: Buffer): Promise<void> =>
  new Promise((resolve) => {
    stream.write(bytes, () => resolve());
  });

async function opener(stream: MuxStream, program: Program, payload: Buffer, number: number): Promise<Outcome> {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(number);
  const { reset } = program;
  const reading = read(stream, program.slowness, program.seed + 1, (_, length) => {
    if (reset?.by === 'opener' && length > reset.after) stream.destroy(new Error('enough'));
  });
  stream.write(head);
  let at = 0;
  for (const size of program.writes) {
    if (stream.destroyed) break;
    await write(stream, payload.subarray(at, at + size));
    at += size;
  }
  stream.end();
  return reading;
}

async function other(
  stream: MuxStream,
  programs: readonly Program[],
  backs: readonly Buffer[],
): Promise<[number, Outcome]> {
  let number = -1;
  let held = Buffer.alloc(0);
  let chosen: Program | undefined;
  const begin = (chunk: Buffer): Buffer => {
    if (chosen) return chunk;
    held = Buffer.concat([held, chunk]);
    if (held.length < 4) return Buffer.alloc(0);
    number = held.readUInt32BE(0);
    chosen = programs[number] as Program;
    if (chosen.kind === 'first') stream.end(backs[number]);
    return held.subarray(4);
  };
  const outcome = await read(stream, 0.1, stream.id, async (chunk, length) => {
    const bytes = begin(chunk);
    if (chosen?.reset?.by === 'other' && length > chosen.reset.after) stream.destroy(new Error('enough'));
    else if (chosen?.kind === 'echo' && bytes.length > 0) await write(stream, bytes);
  });
  if (!outcome.error && chosen?.kind === 'answer') stream.end(backs[number]);
  else stream.end();
  return [number, { ...outcome, bytes: outcome.bytes.subarray(4) }];
}

async function run(programs: readonly Program[], seed: number, highWaterMark: number): Promise<void> {
  const ends = muxPair({ cut: randomCuts(seed), highWaterMark });
  const [client, server] = ends;
  const payloads = programs.map(({ writes, seed }) =>
    bytesOf(
      seed,
      writes.reduce((sum, size) => sum + size, 0),
    ),
  );
  const backs = programs.map(({ seed, back }) => bytesOf(seed + 2, back));
  const others: Promise<[number, Outcome]>[] = [];
  const accept = async (end: MuxEnd, count: number): Promise<void> => {
    for (let left = count; left > 0; left -= 1) others.push(other(await end.next(), programs, backs));
  };
  const byClient = programs.filter((one) => one.opener === 'client').length;
  const accepting = [accept(server, byClient), accept(client, programs.length - byClient)];
  const near = await Promise.all(
    programs.map((one, number) =>
      opener((one.opener === 'client' ? client : server).muxer.open(), one, payloads[number] as Buffer, number),
    ),
  );
  await Promise.all(accepting);
  const far = new Map(await Promise.all(others));
  for (const [number, one] of programs.entries()) {
    const [sent, back] = [payloads[number] as Buffer, (one.kind === 'echo' ? payloads : backs)[number] as Buffer];
    const [{ bytes: got, error }, answered] = [far.get(number), near[number]] as [Outcome, Outcome];
    if (!one.reset) expect([number, error, answered.error]).toEqual([number, null, null]);
    // A reset may cut what arrives, never change it.
    const whole = !one.reset || (!error && !answered.error);
    if (whole) expect([number, digest(got), digest(answered.bytes)]).toEqual([number, digest(sent), digest(back)]);
    else {
      expect(got.equals(sent.subarray(0, got.length))).toBe(true);
      expect(answered.bytes.equals(back.subarray(0, answered.bytes.length))).toBe(true);
    }
  }
  await turns(200);
  for (const { muxer } of ends) expect([muxer.closed, muxer.streamCount, muxer.outstanding]).toEqual([false, 0, 0]);
  // What the transport takes before it says stop, and one batch.
  for (const { transport } of ends) expect(Math.max(0, ...transport.batches)).toBeLessThan(highWaterMark + 65 * 1024);
  client.muxer.destroy();
  await server.closed;
}

describe('random programs', () => {
  test('many streams, both sides open, half-close, resets, slow readers', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(program, { minLength: 1, maxLength: 12 }),
        fc.integer(),
        fc.constantFrom(1_000, 16_384, 262_144),
        run,
      ),
      { numRuns: 40, interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false },
    );
  });

  test('200 streams that echo 1 to 60 KB, at once', async () => {
    const programs = Array.from(
      { length: 200 },
      (_, index): Program => ({
        opener: index % 3 === 0 ? 'server' : 'client',
        kind: 'echo',
        writes: [1 + index, index * 300],
        back: 0,
        reset: undefined,
        slowness: index % 5 === 0 ? 0.5 : 0,
        seed: index,
      }),
    );
    await run(programs, 42, 65_536);
  });
});
