// One accepted TCP connection of a taken Service: finds out who speaks first and what, then hands it on.
//   HTTP/1.x → http1.ts, HTTP/2 → http2.ts (both per request); everything else whole, to the laptop that wants everything or to the origin.
// Called by listeners.ts.
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { joinStreams } from '../../netstack/stream/pump.ts';
import { reset } from '../../netstack/stream/reset.ts';
import { protocolOf } from './http1.codec.ts';
import { serveHttp1 } from './http1.ts';
import { serveHttp2 } from './http2.ts';
import type { Upstreams } from './upstreams.ts';

/**
 * Milliseconds for the caller's first bytes before the other side is connected to see whether it speaks first (MySQL, SMTP, SSH). HTTP callers
 * send at once; a laptop should not see a connection that says nothing for each of them.
 */
const FIRST_BYTES_MS = 50;

type Protocol = 'http1' | 'http2' | 'other';

/** Serves it to its end. Never rejects. `client` is paused and has an 'error' listener. */
export async function serveConnection(client: Socket, upstreams: Upstreams): Promise<void> {
  let upstream: Duplex | undefined;
  let protocol = await firstBytes(client, FIRST_BYTES_MS);
  if (protocol === 'gone') return;
  if (protocol === undefined) {
    upstream = await connectRaw(client, upstreams);
    if (upstream === undefined) return;
    protocol = await whoSpeaks(client, upstream);
    if (protocol === 'gone') {
      upstream.destroy();
      return;
    }
    // It was the laptop's or the origin's; requests are decided one by one.
    if (protocol !== 'other') {
      upstream.destroy();
      upstream = undefined;
    }
  }
  if (protocol === 'http1') return serveHttp1(client, upstreams, undefined);
  if (protocol === 'http2') return serveHttp2(client, upstreams, undefined);
  upstream ??= await connectRaw(client, upstreams);
  if (upstream) await joinStreams(client, upstream);
}

/** To the laptop that wants everything, else to the origin; the caller is reset where neither is there. */
async function connectRaw(client: Socket, upstreams: Upstreams): Promise<Duplex | undefined> {
  const claim = upstreams.match(undefined);
  const peer = `${client.remoteAddress ?? ''}:${client.remotePort ?? 0}`;
  const upstream =
    (claim && (await upstreams.openLaptop(claim, peer).catch(() => undefined))) ??
    (await upstreams.openOrigin().catch(() => undefined));
  if (upstream === undefined) reset(client);
  else if (client.destroyed) upstream.destroy();
  return client.destroyed ? undefined : upstream;
}

/** What the caller's first bytes are; they stay in the socket. undefined: nothing came in `limitMs`. A half-close is 'other'. */
function firstBytes(client: Socket, limitMs: number | undefined): Promise<Protocol | 'gone' | undefined> {
  return new Promise((resolve) => {
    let held: Buffer = Buffer.alloc(0);
    const finish = (result: Protocol | 'gone' | undefined): void => {
      clearTimeout(timer);
      client.off('readable', look).off('end', ended).off('close', gone);
      if (held.length > 0 && !client.destroyed) client.unshift(held);
      resolve(result);
    };
    const look = (): void => {
      for (let chunk = client.read() as Buffer | null; chunk !== null; chunk = client.read() as Buffer | null) {
        held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
        const protocol = protocolOf(held);
        if (protocol) return finish(protocol);
        // It began; whoever is slow in its first line is HTTP and waits for itself.
        clearTimeout(timer);
      }
      return undefined;
    };
    const ended = (): void => finish('other');
    const gone = (): void => finish('gone');
    const timer = limitMs === undefined ? undefined : setTimeout(() => finish(undefined), limitMs);
    client.on('readable', look).on('end', ended).on('close', gone);
    if (client.destroyed) gone();
    else look();
  });
}

/** Whose bytes come first; those of the upstream mean a protocol in which servers speak first. */
async function whoSpeaks(client: Socket, upstream: Duplex): Promise<Protocol | 'gone'> {
  const server = new Promise<'other'>((resolve) => {
    for (const event of ['readable', 'end', 'close'] as const) upstream.once(event, () => resolve('other'));
  });
  const result = await Promise.race([firstBytes(client, undefined), server]);
  return result ?? 'other';
}
