// Ends a socket after a last answer so that the answer arrives. A plain close() while bytes of the client are unread makes the system
// send RST, and a RST throws away (on Windows) what the client has not read yet. For sockets that were just refused.
import type { Duplex } from 'node:stream';

/** Milliseconds in which a client reads a refusal and closes; on loopback that takes one. */
const LINGER_MS = 1000;

export function closeGently(socket: Duplex, lastBytes?: Buffer): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
  socket.once('end', () => socket.destroy());
  socket.end(lastBytes);
  socket.resume();
}
