// The dialer without any detour: sockets of this machine. In the agent's pod it is the way into the cluster's network; on the laptop
// it is the way to everything that is not in the cluster. Passes test/compliance/dialer.ts. Runs on Node 20 too.
import { createSocket } from 'node:dgram';
import { connect, isIP, isIPv6, type Socket, type TcpNetConnectOpts } from 'node:net';
import { KtError } from '../../errors.ts';
import type { Connection, DatagramFlow, Dialer, DialOptions, RecordType, ResolveAnswer, Target } from '../dialer.ts';
import { SearchResolver } from '../dns/search-resolver.ts';
import { dialError } from './dial-errors.ts';

/** Milliseconds for a connect, the name included. */
const DIAL_MS = 10_000;
/** Bytes buffered per socket and direction: fewer turns per MiB than Node's 64 KiB. */
const SOCKET_MARK = 256 * 1024;
/** Bytes of datagrams that wait in a UDP socket; more are dropped, as a network would. */
const UDP_QUEUE_MAX = 1024 * 1024;

export interface DirectOptions {
  /** 'system' (default): names by getaddrinfo, as any program. 'search-list': by DNS with the pod's search list, no threads. */
  readonly names?: 'system' | 'search-list';
}

export class DirectDialer implements Dialer {
  readonly #resolver = new SearchResolver();
  readonly #searches: boolean;

  constructor(options: DirectOptions = {}) {
    this.#searches = options.names === 'search-list';
  }

  async dial(target: Target, options: DialOptions = {}): Promise<Connection> {
    const limit = AbortSignal.timeout(options.timeoutMs ?? DIAL_MS);
    const addresses = this.#searches ? await this.#addresses(target, limit, options.signal) : [target.host];
    let last: unknown;
    for (const [index, host] of addresses.entries()) {
      const connection = open({ host, port: target.port }, target, limit, options.signal);
      const final = index === addresses.length - 1;
      if (final && !options.settle) return connection;
      try {
        // The next address is worth a try only while nothing was sent.
        await connection.opened;
        return connection;
      } catch (error) {
        last = error;
        if (options.signal?.aborted || limit.aborted) break;
      }
    }
    throw last;
  }

  resolve(name: string, type: RecordType): Promise<ResolveAnswer> {
    return this.#resolver.resolve(name, type);
  }

  async datagrams(target: Target, options: DialOptions = {}): Promise<DatagramFlow> {
    const limit = AbortSignal.timeout(options.timeoutMs ?? DIAL_MS);
    const [host] = await this.#addresses(target, limit, options.signal);
    const socket = createSocket(isIPv6(host ?? '') ? 'udp6' : 'udp4');
    const flow: DatagramFlow = {
      onDatagram: undefined,
      onClose: undefined,
      send: (datagram) => {
        if (socket.getSendQueueSize() < UDP_QUEUE_MAX) socket.send(datagram, () => undefined);
      },
      close: () => close(),
    };
    let closed = false;
    const close = (error?: Error): void => {
      if (closed) return;
      closed = true;
      socket.close();
      flow.onClose?.(error);
    };
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => reject(dialError(error, target)));
      socket.connect(target.port, host, resolve);
    });
    socket.on('message', (datagram) => flow.onDatagram?.(datagram));
    // An ICMP "port unreachable" comes as an error of the socket and ends the flow with its reason.
    socket.on('error', (error) => close(dialError(error, target)));
    return flow;
  }

  async #addresses(target: Target, limit: AbortSignal, signal: AbortSignal | undefined): Promise<string[]> {
    if (isIP(target.host)) return [target.host];
    const found = await race(this.#resolver.addresses(target.host), target, limit, signal);
    if (found.length === 0) throw new KtError('DIAL_NOT_FOUND', `there is no name ${target.host}`);
    return found;
  }
}

/** Starts the connect; the socket may be written at once. */
function open(at: Target, target: Target, limit: AbortSignal, signal: AbortSignal | undefined): Connection {
  // `highWaterMark` is passed on to the stream; the types do not have it.
  const settings = { ...at, noDelay: true, allowHalfOpen: true, highWaterMark: SOCKET_MARK, autoSelectFamily: true };
  const socket: Socket = connect(settings as TcpNetConnectOpts);
  const opened = new Promise<void>((resolve, reject) => {
    const finish = (): void => {
      limit.removeEventListener('abort', onLimit);
      signal?.removeEventListener('abort', onCancel);
      socket.off('connect', onConnect).off('error', onError).off('close', onClose);
    };
    const fail = (error: KtError): void => {
      finish();
      // An error that comes later belongs to nobody any more.
      socket.on('error', () => undefined);
      socket.destroy(error);
      reject(error);
    };
    const onConnect = (): void => {
      finish();
      resolve();
    };
    const onError = (error: Error): void => fail(dialError(error, target));
    const onClose = (): void => fail(new KtError('CANCELLED', 'the socket was closed during the dial'));
    const onLimit = (): void => fail(timedOut(target));
    const onCancel = (): void => fail(new KtError('CANCELLED', 'the dial was cancelled'));
    socket.on('connect', onConnect).on('error', onError).on('close', onClose);
    if (signal?.aborted) return onCancel();
    limit.addEventListener('abort', onLimit, { once: true });
    signal?.addEventListener('abort', onCancel, { once: true });
    return undefined;
  });
  opened.catch(() => undefined);
  return { stream: socket, opened };
}

const timedOut = (target: Target): KtError =>
  new KtError('DIAL_TIMEOUT', `${target.host}:${target.port} did not answer in time`);

function race<T>(work: Promise<T>, target: Target, limit: AbortSignal, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const onLimit = (): void => reject(timedOut(target));
    const onCancel = (): void => reject(new KtError('CANCELLED', 'the dial was cancelled'));
    if (signal?.aborted) onCancel();
    limit.addEventListener('abort', onLimit, { once: true });
    signal?.addEventListener('abort', onCancel, { once: true });
    work.then(resolve, reject).finally(() => {
      limit.removeEventListener('abort', onLimit);
      signal?.removeEventListener('abort', onCancel);
    });
  });
}
