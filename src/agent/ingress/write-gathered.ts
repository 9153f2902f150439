// Writes of one turn of the event loop leave together, when all that was read in it has been looked at. Each write to a socket wakes whoever
// reads it; one after the other without a pause they wake it once. Called by http1-exchange.ts.
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

const corked: Socket[] = [];

/** As stream.write. A stream that is no socket has a way of its own to gather. */
export function writeGathered(stream: Duplex, bytes: Buffer): boolean {
  if (stream instanceof Socket && stream.writableCorked === 0) {
    stream.cork();
    if (corked.push(stream) === 1) setImmediate(flush);
  }
  return stream.write(bytes);
}

function flush(): void {
  for (const socket of corked.splice(0)) socket.uncork();
}
