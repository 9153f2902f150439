// Ends a socket as broken: RST instead of FIN, so that a body which only the end would delimit is not taken for whole.
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export function reset(stream: Duplex): void {
  if (stream instanceof Socket && !stream.destroyed) stream.resetAndDestroy();
  else stream.destroy();
}
