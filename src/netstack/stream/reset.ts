// Ends a stream as broken: RST instead of FIN on a TCP socket, so that a body which only the end would delimit is not taken for whole.
// Knows when Node can reset and when it can not. Called by pump.ts, the broker and the HTTP proxy.
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** `error` is what a stream that is no TCP socket is destroyed with. */
export function reset(stream: Duplex, error?: Error): void {
  if (stream.destroyed) return;
  // Not connected: nobody to tell. TLS: resetAndDestroy() throws for it.
  if (!(stream instanceof Socket) || stream.connecting || 'encrypted' in stream) {
    stream.destroy(error);
    return;
  }
  // While FIN is on its way into the kernel (one turn of the loop), libuv refuses a reset with EINVAL, and Node then never closes the
  // socket: no 'close', the descriptor leaks, and the process spins when it wants to exit (Node 24). So the FIN goes first.
  const finSending = stream.writableEnded && stream.writableLength === 0 && !stream.writableFinished;
  if (finSending) stream.once('finish', () => resetNow(stream, error));
  else resetNow(stream, error);
}

function resetNow(socket: Socket, error: Error | undefined): void {
  try {
    socket.resetAndDestroy();
  } catch {
    // A local socket or a named pipe: they know no reset.
    socket.destroy(error);
  }
}
