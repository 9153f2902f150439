// A loopback listener for exactly one connection: the program's own socket, which the shim sends here instead of to the cluster.
// It expires when nobody comes. Knows nothing of dials; used by dial-desk.ts.
import { createServer, type Socket } from 'node:net';
import { KtError } from '../../errors.ts';

/** A shim connects within microseconds of the answer; a program that was stopped meanwhile gets a refusal. */
export const ONE_SHOT_MS = 5000;

export interface OneShot {
  readonly port: number;
  /** Resolves with the socket (paused, half-open allowed, with an 'error' listener), or with undefined when expired or closed. */
  readonly accepted: Promise<Socket | undefined>;
  close(): void;
}

/** Rejects with LISTEN_FAILED (no port or descriptor left). */
export function openOneShot(lifeMs = ONE_SHOT_MS): Promise<OneShot> {
  return new Promise((resolve, reject) => {
    let settle: (socket: Socket | undefined) => void = () => undefined;
    const accepted = new Promise<Socket | undefined>((done) => {
      settle = done;
    });
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
      socket.on('error', () => undefined);
      // A second one that was in the backlog already is nobody's.
      if (timer === undefined) {
        socket.destroy();
        return;
      }
      close();
      settle(socket);
    });
    let timer: NodeJS.Timeout | undefined;
    const close = (): void => {
      clearTimeout(timer);
      timer = undefined;
      server.close();
    };
    const giveUp = (): void => {
      close();
      settle(undefined);
    };
    server.on('error', (cause) => {
      giveUp();
      reject(new KtError('LISTEN_FAILED', `no loopback port for the connection: ${cause.message}`, { cause }));
    });
    // Backlog 1: more than one connection is never wanted.
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
      const address = server.address();
      timer = setTimeout(giveUp, lifeMs);
      resolve({ port: typeof address === 'object' && address !== null ? address.port : 0, accepted, close: giveUp });
    });
  });
}
