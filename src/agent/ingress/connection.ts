// One accepted TCP connection of a taken Service: finds out who speaks first and what, then hands it on.
//   HTTP/1.x → http1.ts, HTTP/2 → http2.ts (both per request); everything else whole, to the laptop that wants everything or to the origin.
// Called by listeners.ts.
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { protocolOf } from '../../netstack/http/http1.codec.ts';
import { joinStreams } from '../../netstack/stream/pump.ts';
import { reset } from '../../netstack/stream/reset.ts';
import { serveHttp1 } from './http1.ts';
import { type Http2Limits, serveHttp2 } from './http2.ts';
import { peerOfSocket } from './peer.ts';
import type { Upstreams } from './upstreams.ts';

/**
 * Milliseconds for the caller's first bytes before the other side is connected to see whether it speaks first (MySQL, SMTP, SSH). HTTP callers
 * send at once; a laptop should not see a connection that says nothing for each of them.
 */
const FIRST_BYTES_MS = 50;
/** Milliseconds for the first line, once it has begun. Text that looks like a method but waits for an answer (`PING`) is served as what it is then. */
const FIRST_LINE_MS = 3_000;

export interface ConnectionLimits extends Http2Limits {
  readonly firstBytesMs?: number;
  readonly firstLineMs?: number;
}

/** What a port's callers do, as far as it was seen: the agent learns it, so that only the first one of a port waits for nothing. */
export interface Habit {
  /** The last time that somebody spoke, it was the server. */
  serverSpeaksFirst: boolean;
}

interface First {
  /** undefined: the caller said nothing yet. */
  readonly protocol: 'http1' | 'http2' | 'other' | undefined;
  /** What the caller said before its half-close; else its bytes are still in the socket. */
  readonly early?: Buffer;
}

interface Way {
  readonly upstream: Duplex;
  readonly origin: boolean;
}

/** Serves it to its end. Never rejects. `client` is paused and has an 'error' listener. */
export async function serveConnection(
  client: Socket,
  upstreams: Upstreams,
  habit: Habit = { serverSpeaksFirst: false },
  limits: ConnectionLimits = {},
): Promise<void> {
  const { firstBytesMs = FIRST_BYTES_MS, firstLineMs = FIRST_LINE_MS } = limits;
  let way: Way | undefined;
  const beginMs = habit.serverSpeaksFirst ? 0 : firstBytesMs;
  let first = await firstBytes(client, { beginMs, lineMs: firstLineMs });
  if (first?.protocol !== undefined) habit.serverSpeaksFirst = false;
  if (first?.protocol === undefined && !client.destroyed) {
    way = await connectRaw(client, upstreams);
    if (way === undefined) return undefined;
    first = await whoSpeaks(client, way.upstream, firstLineMs, habit);
  }
  if (first === undefined || client.destroyed) return void way?.upstream.destroy();
  const { protocol, early } = first;
  if (protocol === 'http1' || protocol === 'http2') {
    // Requests are decided one by one: a connection to the laptop was for the whole.
    if (way?.origin === false) way.upstream.destroy();
    const origin = way?.origin ? way.upstream : undefined;
    return protocol === 'http1' ? serveHttp1(client, upstreams, origin) : serveHttp2(client, upstreams, origin, limits);
  }
  way ??= await connectRaw(client, upstreams);
  if (way === undefined) return undefined;
  if (early && !way.upstream.destroyed) way.upstream.write(early);
  await joinStreams(client, way.upstream);
}

/** To the laptop that wants everything, else to the origin; the caller is reset where neither is there. */
async function connectRaw(client: Socket, upstreams: Upstreams): Promise<Way | undefined> {
  const claim = upstreams.match(undefined);
  const laptop = claim && (await upstreams.openLaptop(claim, peerOfSocket(client)).catch(() => undefined));
  const upstream = laptop ?? (await upstreams.openOrigin().catch(() => undefined));
  if (upstream === undefined) {
    reset(client);
    return undefined;
  }
  if (!client.destroyed) return { upstream, origin: laptop === undefined };
  upstream.destroy();
  return undefined;
}

interface FirstOptions {
  /** Milliseconds for the first byte. */
  readonly beginMs?: number;
  /** Milliseconds for the rest of the first line. */
  readonly lineMs: number;
  /** Somebody else spoke first. */
  readonly signal?: AbortSignal;
}

/** What the caller's first bytes are. undefined: the caller went away. */
function firstBytes(client: Socket, { beginMs, lineMs, signal }: FirstOptions): Promise<First | undefined> {
  return new Promise((resolve) => {
    let held: Buffer = Buffer.alloc(0);
    const finish = (result: First | undefined): void => {
      clearTimeout(timer);
      client.off('readable', look).off('end', ended).off('close', gone);
      signal?.removeEventListener('abort', spoken);
      // A stream that has ended takes nothing back.
      if (held.length > 0 && !client.destroyed && !client.readableEnded) client.unshift(held);
      resolve(result);
    };
    const look = (): void => {
      for (let chunk = client.read() as Buffer | null; chunk !== null; chunk = client.read() as Buffer | null) {
        if (held.length === 0) {
          clearTimeout(timer);
          timer = setTimeout(spoken, lineMs);
        }
        held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
        const protocol = protocolOf(held);
        if (protocol) return finish({ protocol });
      }
      return undefined;
    };
    const ended = (): void => finish({ protocol: 'other', early: held });
    const gone = (): void => finish(undefined);
    const spoken = (): void => finish({ protocol: 'other' });
    let timer = beginMs === undefined ? undefined : setTimeout(() => finish({ protocol: undefined }), beginMs);
    client.on('readable', look).on('end', ended).on('close', gone);
    if (client.destroyed) gone();
    else if (client.readableEnded) ended();
    else if (signal?.aborted) spoken();
    else {
      signal?.addEventListener('abort', spoken, { once: true });
      look();
    }
  });
}

/** Whose bytes come first; those of the upstream, or its end, mean a protocol in which servers speak first. */
async function whoSpeaks(client: Socket, upstream: Duplex, lineMs: number, habit: Habit): Promise<First | undefined> {
  const server = new AbortController();
  const speaks = (): void => server.abort();
  const events = ['readable', 'end', 'close'] as const;
  for (const event of events) upstream.on(event, speaks);
  if (upstream.destroyed) speaks();
  const first = await firstBytes(client, { lineMs, signal: server.signal });
  // A 'readable' listener keeps a stream from flowing.
  for (const event of events) upstream.off(event, speaks);
  habit.serverSpeaksFirst = upstream.readableLength > 0;
  return first;
}
