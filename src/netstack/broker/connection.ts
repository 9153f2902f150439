// One connection of a shim: lines in, token check, requests one after the other, lines out. Closes with a reason on garbage.
// Does no dialling itself (dial-desk.ts, name-desk.ts, datagram-desk.ts). Called by server.ts.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { closeGently } from '../stream/close-gently.ts';
import {
  type Answer,
  decodeRequest,
  encodeAnswer,
  LineDecoder,
  ProtocolError,
  type Request,
  splitLine,
} from './protocol.codec.ts';

/** Milliseconds in which the first line must come, and the next one after an answer. A shim sends it with its connect. */
export const REQUEST_MS = 5000;
/** Requests that wait on one connection. A shim sends at most two (HELLO and its first question). */
export const QUEUED_MAX = 8;

export interface ConnectionOptions {
  readonly token: string;
  /** Never rejects. `signal` aborts when the program gives up. */
  readonly handle: (request: Request, signal: AbortSignal) => Promise<Answer>;
  readonly onRejected: (reason: string) => void;
}

/** `socket` has an 'error' listener. */
export function serveConnection(socket: Socket, options: ConnectionOptions): void {
  const decoder = new LineDecoder();
  const gone = new AbortController();
  const queue: Request[] = [];
  let working = false;
  let silence: NodeJS.Timeout | undefined;
  const expectRequest = (): void => {
    silence = setTimeout(() => refuse('ETIMEDOUT', 'no request'), REQUEST_MS);
  };

  const refuse = (errno: 'EACCES' | 'EINVAL' | 'ETIMEDOUT', text: string): void => {
    clearTimeout(silence);
    socket.off('data', onData);
    gone.abort();
    options.onRejected(text);
    closeGently(socket, Buffer.from(encodeAnswer({ kind: 'error', errno, text })));
  };
  const onData = (chunk: Buffer): void => {
    try {
      for (const line of decoder.push(chunk)) {
        const { token, words } = splitLine(line);
        if (!sameToken(options.token, token)) {
          refuse('EACCES', 'wrong token');
          return;
        }
        queue.push(decodeRequest(words));
      }
      if (queue.length > QUEUED_MAX) throw new ProtocolError(`more than ${QUEUED_MAX} requests at once`);
    } catch (error) {
      refuse('EINVAL', error instanceof ProtocolError ? error.message : 'not understood');
      return;
    }
    void work();
  };
  const work = async (): Promise<void> => {
    if (working) return;
    working = true;
    clearTimeout(silence);
    for (let request = queue.shift(); request !== undefined && !gone.signal.aborted; request = queue.shift()) {
      const answer = await options.handle(request, gone.signal);
      if (!gone.signal.aborted) socket.write(encodeAnswer(answer));
    }
    working = false;
    if (!gone.signal.aborted) expectRequest();
  };
  // A shim never half-closes: the end of its side is the program that gave up.
  const over = (): void => {
    clearTimeout(silence);
    gone.abort();
    socket.destroy();
  };
  expectRequest();
  socket.on('data', onData);
  socket.on('end', over);
  socket.on('close', over);
}

/** Takes the same time for every wrong token: digests have one length. */
function sameToken(expected: string, given: string): boolean {
  return timingSafeEqual(digest(expected), digest(given));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'latin1').digest();
}
