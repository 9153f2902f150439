// The dialer for destinations outside of the cluster that only a company's proxy reaches: CONNECT through the proxy that the
// environment names; plain HTTP requests are handed to the proxy as they are (plainHop). TCP only; the proxy resolves names. Which destinations those are is the router's to say.
// Called by session/cluster.ts. Passes test/compliance/dialer.ts without its parts for names and UDP.
import type { Socket } from 'node:net';
import { KtError } from '../../errors.ts';
import type { Connection, DatagramFlow, Dialer, DialOptions, PlainHop, ResolveAnswer, Target } from '../dialer.ts';
import { basicAuthorization, connectThroughProxy, ProxyRefusal, reachProxy } from './connect-client.ts';
import { parseProxyUrl, proxyName } from './proxy-url.ts';

/** Milliseconds for the proxy and the destination together. */
const DIAL_MS = 10_000;

/**
 * A dialer through HTTPS_PROXY, for port 80 through HTTP_PROXY, and through the other one where only one is set; undefined where none is.
 * NO_PROXY is the router's.
 */
export function corporateDialer(env: Readonly<Record<string, string | undefined>>): Dialer | undefined {
  const variable = (name: string): string | undefined => env[name] || env[name.toLowerCase()];
  const [https, http] = [variable('HTTPS_PROXY'), variable('HTTP_PROXY')];
  const [secure, plain] = [https ?? http, http ?? https];
  if (secure === undefined || plain === undefined) return undefined;
  const proxyFor = (port: number): URL =>
    parseProxyUrl((port === 80 ? plain : secure).trim(), "the company's proxy in HTTPS_PROXY or HTTP_PROXY");
  const hop = plainHop(() => parseProxyUrl(plain.trim(), "the company's proxy in HTTP_PROXY or HTTPS_PROXY"));
  return {
    dial: (target, options) =>
      limited(target, options, (signal) => connectThroughProxy({ proxy: proxyFor(target.port), target, signal })),
    plainHop: () => Promise.resolve(hop()),
    resolve: (name): Promise<ResolveAnswer> =>
      Promise.reject(
        new KtError('UNSUPPORTED', `${name} is for the company's proxy to resolve, which gives no addresses`),
      ),
    datagrams: (): Promise<DatagramFlow> =>
      Promise.reject(new KtError('UNSUPPORTED', "UDP does not pass the company's proxy")),
  };
}

/** Made once: its dialer's pool is the proxy's. SOCKS knows no requests. */
function plainHop(urlOf: () => URL): () => PlainHop | undefined {
  let made: PlainHop | undefined;
  return () => {
    const proxy = urlOf();
    if (made || proxy.protocol.startsWith('socks5')) return made;
    const authorization = basicAuthorization(proxy);
    const unsupported = (): Promise<never> =>
      Promise.reject(new KtError('UNSUPPORTED', 'this leads to the proxy only'));
    const dialer: Dialer = {
      dial: (target, options) => limited(target, options, (signal) => toProxy(proxy, signal)),
      resolve: unsupported,
      datagrams: unsupported,
    };
    made = { dialer, fields: authorization ? ['Proxy-Authorization', authorization] : [] };
    return made;
  };
}

async function toProxy(proxy: URL, signal: AbortSignal): Promise<Socket> {
  try {
    return await reachProxy(proxy, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new KtError('CORPORATE_PROXY', `the proxy ${proxyName(proxy)} can't be used: ${(error as Error).message}`, {
      hint: 'is the proxy in HTTP_PROXY right, and can it be reached?',
      cause: error,
    });
  }
}

async function limited(
  target: Target,
  options: DialOptions = {},
  open: (signal: AbortSignal) => Promise<Socket>,
): Promise<Connection> {
  const limit = new AbortController();
  const timer = setTimeout(
    () =>
      limit.abort(new KtError('DIAL_TIMEOUT', `the proxy did not connect to ${target.host}:${target.port} in time`)),
    options.timeoutMs ?? DIAL_MS,
  );
  const cancel = (): void => limit.abort(new KtError('CANCELLED', 'the dial was cancelled'));
  options.signal?.addEventListener('abort', cancel, { once: true });
  try {
    if (options.signal?.aborted) cancel();
    const stream = await open(limit.signal);
    stream.allowHalfOpen = true;
    return { stream, opened: Promise.resolve() };
  } catch (error) {
    throw dialError(error as Error, target);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', cancel);
  }
}

/** What the proxy says of the destination, in the words that SOCKS5 and HTTP have for it. */
function dialError(error: Error, { host, port }: Target): Error {
  const status = error.cause instanceof ProxyRefusal ? error.cause.status : 0;
  const failed = (code: 'DIAL_DENIED' | 'DIAL_FAILED' | 'DIAL_TIMEOUT', what: string): KtError =>
    new KtError(code, `the company's proxy ${what} ${host}:${port}`, { cause: error });
  if (status === 403 || status === 405) return failed('DIAL_DENIED', 'does not allow connections to');
  if (status === 502 || status === 503) return failed('DIAL_FAILED', "can't connect to");
  if (status === 504) return failed('DIAL_TIMEOUT', 'got no answer from');
  return error;
}
