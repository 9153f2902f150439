// What the agent does with a stream that the laptop opened: dial, resolve or carry datagrams, then answer one status and join.
// Not the link, nor who may use it: link-server.ts. Knows nothing of Kubernetes.
import { asKtError, KtError } from '../errors.ts';
import type { Dialer } from '../netstack/dialer.ts';
import type { MuxStream } from '../netstack/mux/stream.ts';
import { DatagramDecoder, encodeDatagram } from '../netstack/stream/datagram.codec.ts';
import { encodeMessage, type OpenHeader } from '../netstack/stream/header.codec.ts';
import { joinStreams } from '../netstack/stream/pump.ts';

/** A flow of datagrams without traffic ends after this time, in milliseconds; the usual NAT time-out for UDP is 30 to 120 s (RFC 4787 §4.3). */
const UDP_IDLE_MS = 120_000;

/** Of a refusal's reason: a character is 6 bytes at most in JSON, and the whole status must fit MESSAGE_BYTES_MAX. */
const MESSAGE_CHARACTERS_MAX = 600;

const accepted = encodeMessage({ ok: true });

/** The refusal, then the end of the stream; the laptop turns it into the SOCKS or HTTP code. */
export function refuse(stream: MuxStream, error: unknown): void {
  const reason = asKtError(error, 'DIAL_FAILED');
  stream.end(encodeMessage({ ok: false, code: reason.code, message: reason.message.slice(0, MESSAGE_CHARACTERS_MAX) }));
  stream.resume();
}

/** Serves one stream whose header was read; its other bytes are still in the stream. Never rejects. */
export async function serveEgress(stream: MuxStream, header: OpenHeader, dialer: Dialer): Promise<void> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort();
  stream.once('close', onClose);
  stream.on('error', onClose);
  try {
    if (header.kind === 'tcp') await tcp(stream, header, dialer, gone.signal);
    else if (header.kind === 'udp') await udp(stream, header, dialer, gone.signal);
    else if (header.kind === 'resolve') await resolve(stream, header, dialer, gone.signal);
    else refuse(stream, new KtError('LINK_PROTOCOL', `the egress agent does not serve '${header.kind}' streams`));
  } catch (error) {
    if (!stream.destroyed) refuse(stream, error);
  }
}

async function tcp(
  stream: MuxStream,
  header: OpenHeader & { kind: 'tcp' },
  dialer: Dialer,
  signal: AbortSignal,
): Promise<void> {
  const connection = await dialer.dial(header, { signal, timeoutMs: header.timeoutMs });
  await connection.opened;
  stream.write(accepted);
  await joinStreams(stream, connection.stream);
}

async function resolve(
  stream: MuxStream,
  header: OpenHeader & { kind: 'resolve' },
  dialer: Dialer,
  signal: AbortSignal,
): Promise<void> {
  const answer = await dialer.resolve(header.host, header.type, { signal });
  stream.end(Buffer.concat([accepted, Buffer.from(JSON.stringify(answer))]));
  stream.resume();
}

async function udp(
  stream: MuxStream,
  header: OpenHeader & { kind: 'udp' },
  dialer: Dialer,
  signal: AbortSignal,
): Promise<void> {
  const flow = await dialer.datagrams(header, { signal });
  const idle = setTimeout(() => flow.close(), UDP_IDLE_MS);
  const decoder = new DatagramDecoder();
  flow.onDatagram = (datagram) => {
    idle.refresh();
    // UDP drops where a queue is full; the stream's own buffer is that queue.
    if (!stream.writableNeedDrain) stream.write(encodeDatagram(datagram));
  };
  flow.onClose = (error) => {
    clearTimeout(idle);
    if (error) stream.destroy(error);
    else stream.end();
  };
  signal.addEventListener('abort', () => flow.close(), { once: true });
  stream.on('end', () => flow.close());
  stream.on('data', (chunk: Buffer) => {
    idle.refresh();
    for (const datagram of decoder.push(chunk)) flow.send(datagram);
  });
  stream.write(accepted);
}
