// One TCP connection of an asker (RFC 7766): several questions at a time, answers as they are ready, half-close, and limits on what it
// may hold: questions in work, bytes not read by the asker, and time. Called by server.ts.
import type { Socket } from 'node:net';
import { MessageSplitter, withLength } from './framing.codec.ts';

/** Questions in work; then the socket is not read. */
const PIPELINED_MAX = 32;
/** Milliseconds without a whole question, or without progress of the asker's reading (RFC 7766 §6.2.3: a few seconds). */
export const IDLE_MS = 10_000;

interface Answerer {
  /** Never rejects; undefined where there must be no reply. */
  answer(message: Buffer, transport: 'tcp'): Promise<Buffer | undefined>;
}

/** `socket` must be half-open. Answers what was asked, also after the asker's FIN, then ends. */
export function serveConnection(socket: Socket, resolver: Answerer, idleMs = IDLE_MS): void {
  const splitter = new MessageSplitter();
  let working = 0;
  let ended = false;
  // Bytes that trickle in do not count; a question that the cluster takes long for is not idleness.
  const idle = setTimeout(() => {
    if (working === 0 || socket.writableNeedDrain) socket.destroy();
    else idle.refresh();
  }, idleMs);
  const read = (): void => {
    if (socket.destroyed) return;
    const full = (): boolean => working >= PIPELINED_MAX || socket.writableNeedDrain;
    while (!full()) {
      const message = splitter.next();
      if (message === undefined) break;
      idle.refresh();
      void answer(message);
    }
    if (full()) socket.pause();
    else if (ended && working === 0) socket.end();
    else socket.resume();
  };
  const answer = async (message: Buffer): Promise<void> => {
    working += 1;
    const reply = await resolver.answer(message, 'tcp');
    working -= 1;
    // No DNS: whoever it is will not send any.
    if (reply === undefined) socket.destroy();
    else if (socket.writable) socket.write(withLength(reply));
    read();
  };
  socket.on('data', (chunk) => {
    splitter.push(chunk);
    read();
  });
  socket.on('drain', () => {
    idle.refresh();
    read();
  });
  socket.on('end', () => {
    ended = true;
    read();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => clearTimeout(idle));
}
