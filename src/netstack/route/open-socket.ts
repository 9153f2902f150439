// Opens TCP sockets of this machine: to one address at once, or to the first of several that answers (RFC 8305, "happy eyeballs": an
// address gets a head start, then the next one is tried beside it). Names are resolved before: direct-dialer.ts, the only caller.
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';
import { KtError } from '../../errors.ts';
import type { Connection, Target } from '../dialer.ts';
import { dialError } from './dial-errors.ts';
import type { DialLimit } from './dial-limit.ts';

/** Bytes buffered per socket and direction: fewer turns per MiB than Node's 64 KiB. */
const SOCKET_MARK = 256 * 1024;
/** Milliseconds of head start, RFC 8305 §8 "Connection Attempt Delay". */
const HEAD_START_MS = 250;

/** Starts the connect; the socket may be written at once. Ends `limit` when `opened` settles. */
export function openSocket(address: string, target: Target, limit: DialLimit): Connection {
  const socket = start(address, target.port);
  const opened = new Promise<void>((resolve, reject) => {
    const settle = (error?: KtError): void => {
      off();
      limit.end();
      socket.off('connect', onConnect).off('error', onError).off('close', onClose);
      if (error === undefined) return resolve();
      socket.destroy(error);
      return reject(error);
    };
    const onConnect = (): void => settle();
    const onError = (error: Error): void => settle(dialError(error, target));
    const onClose = (): void => settle(new KtError('CANCELLED', 'the socket was closed during the dial'));
    socket.on('connect', onConnect).on('error', onError).on('close', onClose);
    let off = (): void => undefined;
    off = limit.onOver(settle);
  });
  opened.catch(() => undefined);
  return { stream: socket, opened };
}

/** The first of `addresses` (two or more) that answers; the other sockets are closed. Ends `limit`. */
export function openFirst(addresses: readonly string[], target: Target, limit: DialLimit): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const waiting = [...addresses];
    const trying = new Set<Socket>();
    let reason: KtError | undefined;
    let timer: NodeJS.Timeout | undefined;
    const settle = (winner: Socket | undefined, error?: KtError): void => {
      clearTimeout(timer);
      off();
      limit.end();
      waiting.length = 0;
      for (const socket of trying) if (socket !== winner) socket.destroy();
      if (winner) resolve(winner);
      else reject(error);
    };
    const next = (): void => {
      clearTimeout(timer);
      const address = waiting.shift();
      if (address === undefined) return;
      const socket = start(address, target.port);
      trying.add(socket);
      const onConnect = (): void => {
        socket.off('error', onError);
        settle(socket);
      };
      const onError = (error: Error): void => {
        socket.off('connect', onConnect);
        if (!trying.delete(socket)) return;
        // "No route" to one family of addresses says less than what the other one met.
        if (reason === undefined || reason.code === 'DIAL_UNREACHABLE') reason = dialError(error, target);
        if (waiting.length > 0) next();
        else if (trying.size === 0) settle(undefined, reason);
      };
      socket.once('connect', onConnect).once('error', onError);
      if (waiting.length > 0) timer = setTimeout(next, HEAD_START_MS);
    };
    let off = (): void => undefined;
    off = limit.onOver((error) => settle(undefined, error));
    if (limit.over === undefined) next();
  });
}

function start(host: string, port: number): Socket {
  // `highWaterMark` is passed on to the stream; the types do not have it.
  const settings = { host, port, noDelay: true, allowHalfOpen: true, highWaterMark: SOCKET_MARK };
  const socket = connect(settings as TcpNetConnectOpts);
  // Stays for good: an error that comes when nobody listens any more must not end the process.
  socket.on('error', () => undefined);
  return socket;
}
