// @libp2p/yamux as a mux peer for the interop suite: its muxer on one of our Duplexes, and its streams as Duplexes. Runs no libp2p node:
// the muxer wants nothing of one but a "connection", which is the adapter here. Used by mux-jobs.ts.
import { Duplex } from 'node:stream';
import { callbackify } from 'node:util';
import { AbstractMultiaddrConnection } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';

type ConnectionInit = ConstructorParameters<typeof AbstractMultiaddrConnection>[0];
type Bytes = Parameters<AbstractMultiaddrConnection['sendData']>[0];
export type Libp2pMuxer = ReturnType<ReturnType<ReturnType<typeof yamux>>['createStreamMuxer']>;
type Libp2pStream = Awaited<ReturnType<Libp2pMuxer['createStream']>>;

/** Streams on one link; libp2p's own default is 1,000. */
const STREAMS_MAX = 4_096;
/** A window that has grown must fit the buffer of a stream that is not read, or libp2p aborts it (its default buffer is 4 MiB, its window 16). */
const READ_BUFFER_BYTES = 32 * 1024 * 1024;

const quiet = (): void => undefined;
const log: ConnectionInit['log'] = Object.assign(quiet, {
  trace: quiet,
  error: quiet,
  enabled: false,
  newScope: () => log,
});

class Connection extends AbstractMultiaddrConnection {
  readonly #line: Duplex;

  constructor(line: Duplex, role: 'client' | 'server') {
    // libp2p takes the role from who dialled. No muxer looks at the address.
    const direction = role === 'client' ? 'outbound' : 'inbound';
    super({
      log,
      direction,
      remoteAddr: undefined as unknown as ConnectionInit['remoteAddr'],
      maxReadBufferLength: READ_BUFFER_BYTES,
    });
    this.#line = line;
    line.on('data', (chunk: Buffer) => this.onData(chunk));
    line.on('drain', () => this.safeDispatchEvent('drain'));
    line.on('error', quiet);
    line.on('close', () => this.onTransportClosed());
  }

  override sendData(list: Bytes): { sentBytes: number; canSendMore: boolean } {
    const sentBytes = list.byteLength;
    let canSendMore = true;
    this.#line.cork();
    for (const part of list) canSendMore = this.#line.write(part);
    this.#line.uncork();
    return { sentBytes, canSendMore };
  }

  override sendReset(): void {
    this.#line.destroy();
  }

  override sendClose(): Promise<void> {
    this.#line.end();
    return Promise.resolve();
  }

  override sendPause(): void {
    this.#line.pause();
  }

  override sendResume(): void {
    this.#line.resume();
  }
}

/** `onFault` gets the reason where libp2p finds that we broke the protocol: it then aborts the connection. */
export function libp2pMuxer(
  line: Duplex,
  role: 'client' | 'server',
  onStream: (stream: Duplex) => void,
  onFault: (error: Error) => void,
): Libp2pMuxer {
  const connection = new Connection(line, role);
  connection.addEventListener('close', (event) => {
    const { error } = event as Event & { readonly error?: Error };
    if (error) onFault(error);
  });
  const options = {
    maxInboundStreams: STREAMS_MAX,
    maxOutboundStreams: STREAMS_MAX,
    streamOptions: { maxReadBufferLength: READ_BUFFER_BYTES },
  };
  const muxer = yamux(options)().createStreamMuxer(connection);
  muxer.addEventListener('stream', ({ detail }) => onStream(libp2pDuplex(detail)));
  return muxer;
}

/** `end()` half-closes; `destroy(error)` resets. */
export function libp2pDuplex(stream: Libp2pStream): Duplex {
  const duplex = new Duplex({
    allowHalfOpen: true,
    read() {
      if (stream.readStatus === 'paused') stream.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      try {
        stream.send(chunk);
      } catch (error) {
        done(error as Error);
        return;
      }
      if (stream.writeBufferLength === 0) done();
      // Later: inside of 'idle' the stream still counts as sending, and would wait for another 'idle' before it closes.
      else stream.addEventListener('idle', () => queueMicrotask(done), { once: true });
    },
    final(done) {
      callbackify(() => stream.close())(done);
    },
    destroy(error, done) {
      if (error) stream.abort(error);
      done(error);
    },
  });
  duplex.on('error', quiet);
  stream.addEventListener('message', ({ data }) => {
    let room = true;
    for (const part of data instanceof Uint8Array ? [data] : data)
      room = duplex.push(Buffer.from(part.buffer, part.byteOffset, part.byteLength));
    if (!room && stream.readStatus === 'readable') stream.pause();
  });
  stream.addEventListener('end', () => duplex.push(null));
  stream.addEventListener('close', (event) => {
    const { error } = event as Event & { readonly error?: Error };
    if (error) duplex.destroy(error);
  });
  return duplex;
}
