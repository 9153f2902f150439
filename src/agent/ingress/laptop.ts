// The way from the ingress agent to a laptop: a stream on the best of the session's links, accepted by the laptop or given up in time.
// A link that let one opening go unanswered is suspect: nobody waits for it again until a byte comes from it. Called by listeners.ts, udp.ts.
import { KtError } from '../../errors.ts';
import { settle } from '../../netstack/link/settle.ts';
import type { Muxer } from '../../netstack/mux/muxer.ts';
import type { MuxStream } from '../../netstack/mux/stream.ts';
import { encodeMessage } from '../../netstack/stream/header.codec.ts';

/** Milliseconds for the laptop's yes, which comes after its dial to the local port: longer, and the caller would notice (DESIGN §7). */
export const OPENING_MS = 2_000;

/** A link as it is seen from here. */
export interface LaptopLink {
  readonly muxer: Muxer;
  /** Bytes that came, ever. */
  readonly received: () => number;
  /** Value of `received` when an opening was not answered in time. */
  silentAt?: number | undefined;
}

const suspect = (link: LaptopLink): boolean => link.silentAt !== undefined && link.silentAt === link.received();

/** Is there a link that is worth asking? */
export const reachable = (links: Iterable<LaptopLink>): boolean =>
  [...links].some((link) => !link.muxer.full && !suspect(link));

export interface Inbound {
  readonly rule: string;
  readonly protocol: 'TCP' | 'UDP';
  /** The caller as address:port. */
  readonly peer: string;
}

/** The link is gone or takes nobody any more; nothing of the caller was sent on it. */
const elsewhere = (error: unknown): boolean =>
  error instanceof KtError &&
  (error.code === 'LINK_LOST' || error.code === 'LINK_DEAD' || error.code === 'STREAM_RESET');

/** Resolves with the stream once the laptop has taken it. Rejects with LINK_LOST, DIAL_TIMEOUT, or the laptop's refusal. */
export async function openToLaptop(links: Iterable<LaptopLink>, inbound: Inbound, limitMs: number): Promise<MuxStream> {
  const end = performance.now() + limitMs;
  const tried = new Set<LaptopLink>();
  let last: unknown = new KtError('LINK_LOST', 'the laptop has no link');
  for (;;) {
    const link = best(links, tried);
    const left = end - performance.now();
    // One that gets hardly any time would be suspect for nothing.
    if (link === undefined || left < limitMs / 2) throw last;
    tried.add(link);
    try {
      return await open(link, inbound, left);
    } catch (error) {
      if (!elsewhere(error)) throw error;
      last = error;
    }
  }
}

/** The one with the fewest bytes outstanding. */
function best(links: Iterable<LaptopLink>, tried: ReadonlySet<LaptopLink>): LaptopLink | undefined {
  let found: LaptopLink | undefined;
  for (const link of links) {
    if (tried.has(link) || link.muxer.full || suspect(link)) continue;
    if (found === undefined || link.muxer.outstanding < found.muxer.outstanding) found = link;
  }
  return found;
}

async function open(link: LaptopLink, inbound: Inbound, limitMs: number): Promise<MuxStream> {
  const stream = link.muxer.open();
  stream.on('error', () => undefined);
  stream.write(encodeMessage({ v: 1, kind: 'inbound', ...inbound }));
  const before = link.received();
  try {
    await settle(stream, limitMs, undefined);
    return stream;
  } catch (error) {
    if (error instanceof KtError && error.code === 'DIAL_TIMEOUT' && link.received() === before) link.silentAt = before;
    throw error;
  }
}
