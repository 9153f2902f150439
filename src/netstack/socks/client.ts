// The client's half of SOCKS5 (RFC 1928, user/password by RFC 1929): CONNECT only, names resolved by the proxy. For a kubeconfig's
// proxy-url and HTTPS_PROXY with a socks5:// URL, which kubectl takes too. Not the server (server.ts). Called by http/connect-client.ts.
import { isIP, type Socket } from 'node:net';
import { KtError } from '../../errors.ts';
import type { Target } from '../dialer.ts';
import { formatAuthority, ipv4Bytes, ipv6Bytes } from '../target.codec.ts';

const REFUSALS: Readonly<Record<number, string>> = {
  1: 'it failed',
  2: 'its rules do not allow it',
  3: 'the network is unreachable',
  4: 'the host is unreachable',
  5: 'the connection was refused',
  6: 'it timed out',
  7: 'it does not know CONNECT',
  8: 'it does not know this kind of address',
};

/** Leaves the socket connected to `target`. Rejects with CORPORATE_PROXY, the socket's error, or the signal's reason. */
export async function connectThroughSocks(
  socket: Socket,
  target: Target,
  user: { readonly username: string; readonly password: string } | undefined,
  signal: AbortSignal,
): Promise<void> {
  const read = (bytes: number): Promise<Buffer> => readExactly(socket, bytes, signal);
  socket.write(Buffer.from(user ? [5, 2, 0, 2] : [5, 1, 0]));
  const [version, method] = await read(2);
  if (version !== 5) throw refused('what answers there does not speak SOCKS5');
  if (method === 2 && user) {
    const [name, password] = [Buffer.from(user.username), Buffer.from(user.password)];
    if (name.length > 255 || password.length > 255)
      throw refused('a name or password of more than 255 bytes does not fit');
    socket.write(Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([password.length]), password]));
    const [, status] = await read(2);
    if (status !== 0) throw refused('it does not accept the name and password of its URL');
  } else if (method !== 0) {
    throw refused('it asks for a login that its URL does not give');
  }
  socket.write(Buffer.concat([Buffer.from([5, 1, 0]), encodeTarget(target)]));
  const [, reply = 1, , kind, first = 0] = await read(5);
  if (reply !== 0)
    throw refused(`it does not connect to ${formatAuthority(target)}: ${REFUSALS[reply] ?? `reply ${reply}`}`);
  // The bound address, which is of no use, and its port; one byte of it was read.
  await read((kind === 1 ? 4 : kind === 4 ? 16 : 1 + first) + 2 - 1);
}

function encodeTarget({ host, port }: Target): Buffer {
  const tail = Buffer.from([port >> 8, port & 0xff]);
  const family = isIP(host);
  if (family === 4) return Buffer.concat([Buffer.from([1]), ipv4Bytes(host), tail]);
  if (family === 6) return Buffer.concat([Buffer.from([4]), ipv6Bytes(host), tail]);
  const name = Buffer.from(host);
  return Buffer.concat([Buffer.from([3, name.length]), name, tail]);
}

const refused = (reason: string): KtError =>
  new KtError('CORPORATE_PROXY', `the SOCKS5 proxy can't be used: ${reason}`);

/** Exactly so many bytes; what comes after them stays in the socket. */
function readExactly(socket: Socket, bytes: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error, data?: Buffer): void => {
      socket.off('readable', onReadable).off('end', onEnd).off('error', done).off('close', onEnd);
      signal.removeEventListener('abort', onAbort);
      if (data) resolve(data);
      else reject(error ?? new Error('the proxy closed the connection'));
    };
    const onReadable = (): void => {
      const data = socket.read(bytes) as Buffer | null;
      if (data?.length === bytes) done(undefined, data);
    };
    const onEnd = (): void => done();
    const onAbort = (): void => done(signal.reason as Error);
    socket.on('readable', onReadable).once('end', onEnd).once('error', done).once('close', onEnd);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else onReadable();
  });
}
