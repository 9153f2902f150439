// What a peer of the mux interop suite does, over any muxer that gives Duplexes; test/fixtures/go-yamux/main.go does the same in Go.
// A stream opened to the peer starts with one line that names a job; the rest of its bytes belong to the job:
//
//   echo               sends back what comes, and its end                digest          reads to the end, then `<bytes> <sha256>`
//   source N           N random bytes, then their SHA-256 (32 bytes)     reset           resets the stream
//   end-first TAG      ends at once, reads to the end, reports           watch TAG       says `x`, reads to the end or a reset, reports
//   stall TAG          reads nothing until a `release TAG`, then digest  release TAG     says `ok`
//   call N BYTES       opens N streams `echo` to us at once with up to BYTES each, ends them, compares; says `ok` or what failed
//   push N             opens a stream `end-first` to us, waits for our end, then sends as `source N`; says `ok`
//   ping               pings us; says `ok`       go-away        sends one       open           tries to open a stream; `opened` or `refused`
//
// A report is a stream opened to us with the one line `report TAG RESULT`, where RESULT is as `digest` answers, or `reset`.
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { readAll } from './mux-peers.ts';

/** The peer's muxer, as far as the jobs need it. */
export interface JobMuxer {
  open(): Promise<Duplex>;
  ping(): Promise<unknown>;
  goAway(): Promise<unknown>;
}

export const digest = (bytes: Uint8Array): string =>
  `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;

/** The line that a stream starts with, without its end; takes nothing of what follows. A stream that ends before gives what came. */
export async function firstLine(stream: Duplex): Promise<string> {
  let line = '';
  while (!stream.readableEnded && !stream.destroyed) {
    const byte = stream.read(1) as Buffer | null;
    if (byte?.[0] === 10) break;
    if (byte) line += String(byte);
    else await changed(stream);
  }
  return line;
}

/** Sends back what comes, and its end. */
export function echo(stream: Duplex): void {
  stream.pipe(stream);
}

/** Random bytes and their SHA-256. */
export function withDigest(length: number): Buffer {
  const bytes = randomBytes(length);
  return Buffer.concat([bytes, createHash('sha256').update(bytes).digest()]);
}

/** The bytes that `source` sends, without the digest; throws where it does not fit. */
export function checked(sent: Buffer): Buffer {
  const bytes = sent.subarray(0, -32);
  if (!createHash('sha256').update(bytes).digest().equals(sent.subarray(-32)))
    throw new Error(`${sent.length} bytes came, not those that were sent`);
  return bytes;
}

/** Gives the function that does the job of one stream. */
export function jobs(muxer: JobMuxer): (stream: Duplex) => Promise<void> {
  const stalled = new Map<string, () => void>();
  const report = async (tag: string, result: string): Promise<void> => {
    const stream = await muxer.open();
    stream.end(`report ${tag} ${result}\n`);
    stream.resume();
  };
  const work: Readonly<Record<string, (stream: Duplex, first: string, second: string) => unknown>> = {
    echo,
    digest: async (stream) => stream.end(digest(await readAll(stream))),
    source: (stream, length) => stream.resume().end(withDigest(Number(length))),
    reset: (stream) => stream.destroy(new Error('told to')),
    'end-first': async (stream, tag) => {
      stream.end();
      await report(tag, digest(await readAll(stream)));
    },
    watch: async (stream, tag) => {
      stream.write('x');
      const result = await readAll(stream).then(digest, () => 'reset');
      await report(tag, result);
    },
    stall: async (stream, tag) => {
      await new Promise<void>((resolve) => stalled.set(tag, resolve));
      stream.end(digest(await readAll(stream)));
    },
    release: (stream, tag) => {
      stalled.get(tag)?.();
      say(stream, 'ok');
    },
    call: async (stream, count, size) => {
      const calls = Array.from({ length: Number(count) }, () => callEcho(muxer, Number(size)));
      say(stream, await Promise.all(calls).then(() => 'ok', String));
    },
    push: async (stream, length) => {
      const out = await muxer.open();
      out.write('end-first\n');
      await readAll(out);
      out.end(withDigest(Number(length)));
      say(stream, 'ok');
    },
    ping: async (stream) => say(stream, await muxer.ping().then(() => 'ok', String)),
    'go-away': async (stream) => {
      stream.resume();
      await muxer.goAway();
    },
    open: async (stream) => {
      const opened = await muxer.open().then(
        (out) => out.resume().end('echo\n') && 'opened',
        () => 'refused',
      );
      say(stream, opened);
    },
  };
  return async (stream) => {
    const [job = '', first = '', second = ''] = (await firstLine(stream)).split(' ');
    await work[job]?.(stream, first, second);
  };
}

function say(stream: Duplex, answer: string): void {
  stream.resume().end(answer);
}

async function callEcho(muxer: JobMuxer, size: number): Promise<void> {
  const bytes = randomBytes(randomInt(size + 1));
  const stream = await muxer.open();
  stream.write('echo\n');
  stream.end(bytes);
  const back = await readAll(stream);
  if (!back.equals(bytes)) throw new Error(`${back.length} bytes came back of ${bytes.length}, or others`);
}

/** More bytes, the end, or the close. */
async function changed(stream: Duplex): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  await Promise.race(['readable', 'end', 'close'].map((event) => once(stream, event, { signal }))).catch(
    () => undefined,
  );
  over.abort();
}
