// Connects to a destination through an HTTP proxy (CONNECT, RFC 9110 §9.3.6) or a SOCKS5 proxy, with the name and password of its URL.
// Basic is the only scheme: for NTLM and Kerberos the hint names what helps. Called by corporate-dialer.ts and cluster/api-connection.ts.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { KtError } from '../../errors.ts';
import type { Target } from '../dialer.ts';
import { connectThroughSocks } from '../socks/client.ts';
import { formatAuthority } from '../target.codec.ts';
import { machineTrust, openSocket, startTls } from './open-socket.ts';
import { parseProxyUrl, proxyName } from './proxy-url.ts';

/** Bytes of the proxy's header fields. */
const HEADER_MAX_BYTES = 16 * 1024;
const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  'http:': 80,
  'https:': 443,
  'socks5:': 1080,
  'socks5h:': 1080,
};

/** What the proxy answered instead of a connection; the cause of a CORPORATE_PROXY error. */
export class ProxyRefusal extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the proxy answered ${status}`);
    this.name = 'ProxyRefusal';
    this.status = status;
  }
}

export interface ProxyConnect {
  readonly proxy: URL;
  readonly target: Target;
  /** Ends the attempt; must carry the time limit too. */
  readonly signal: AbortSignal;
}

/**
 * A connection to `target`; bytes that it sent early are in the stream already. Rejects with CORPORATE_PROXY: the proxy is not reachable, or
 * refuses (cause: ProxyRefusal); or with the signal's reason. No text holds the name or the password.
 */
export async function connectThroughProxy({ proxy, target, signal }: ProxyConnect): Promise<Socket> {
  let socket: Socket | undefined;
  try {
    socket = await reachProxy(proxy, signal);
    if (proxy.protocol.startsWith('socks5')) await connectThroughSocks(socket, target, credentials(proxy), signal);
    else await askConnect(socket, proxy, target, signal);
    return socket;
  } catch (error) {
    socket?.on('error', () => undefined).destroy();
    if (signal.aborted) throw signal.reason;
    if (error instanceof KtError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new KtError('CORPORATE_PROXY', `the proxy ${proxyName(proxy)} can't be used: ${code ?? message}`, {
      hint: 'is the proxy in HTTPS_PROXY (or proxy-url of the kubeconfig) right, and can it be reached?',
      cause: error,
    });
  }
}

/** A connection to the proxy itself, with TLS where its URL says so. Rejects with the system's error, or the signal's reason. */
export async function reachProxy(proxy: URL, signal: AbortSignal): Promise<Socket> {
  const host = proxy.hostname.replace(/^\[|\]$/g, '');
  parseProxyUrl(proxy.href, `the proxy ${proxyName(proxy)}`);
  const socket = await openSocket({ host, port: Number(proxy.port) || (DEFAULT_PORTS[proxy.protocol] ?? 80) }, signal);
  if (proxy.protocol !== 'https:') return socket;
  return startTls(socket, { name: host, secureContext: createSecureContext({ ca: machineTrust() }) }, signal);
}

function credentials({ username, password }: URL): { username: string; password: string } | undefined {
  return username === '' && password === '' ? undefined : { username: decoded(username), password: decoded(password) };
}

/** A `%` that escapes nothing is meant as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The field Proxy-Authorization for the name and the password of its URL. */
export function basicAuthorization(proxy: URL): string | undefined {
  const user = credentials(proxy);
  return user && `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`;
}

function askConnect(socket: Socket, proxy: URL, target: Target, signal: AbortSignal): Promise<void> {
  const authority = formatAuthority(target);
  const basic = basicAuthorization(proxy);
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      createConnection: () => socket,
      method: 'CONNECT',
      path: authority,
      maxHeaderSize: HEADER_MAX_BYTES,
      headers: { Host: authority, 'User-Agent': 'kt', ...(basic ? { 'Proxy-Authorization': basic } : {}) },
      signal,
    });
    // The request keeps listening: an error after the promise settled is the stream's user's to see.
    request.on('error', reject);
    request.once('connect', (response, _, head) => {
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) return reject(refusal(response, status, proxy, target, basic !== undefined));
      if (head.length > 0) socket.unshift(head);
      resolve();
    });
    request.end();
  });
}

function refusal(
  { headers }: IncomingMessage,
  status: number,
  proxy: URL,
  target: Target,
  hadPassword: boolean,
): KtError {
  const name = proxyName(proxy);
  const cause = new ProxyRefusal(status);
  // tinyproxy answers a wrong password with 401.
  if (status !== 407 && status !== 401) {
    return new KtError(
      'CORPORATE_PROXY',
      `the proxy ${name} does not connect to ${formatAuthority(target)}: it answered ${status}`,
      {
        hint: 'ask who runs the proxy to allow CONNECT to this host and port, or name the host in NO_PROXY if it is reached directly',
        cause,
      },
    );
  }
  const { problem, hint } = loginProblem(headers['proxy-authenticate'], hadPassword, 'HTTPS_PROXY');
  return new KtError('CORPORATE_PROXY', `the proxy ${name} ${problem}`, { hint, cause });
}

/** What is wrong where a proxy asks for a login (407), and what helps. `schemes`: its Proxy-Authenticate; `variable` holds its URL. */
export function loginProblem(
  schemes: string | undefined,
  hadPassword: boolean,
  variable: string,
): { readonly problem: string; readonly hint: string } {
  if (schemes && !/\bbasic\b/i.test(schemes)) {
    return {
      problem: `asks for a login by ${schemes.split(/[ ,]/)[0]}`,
      hint: `kt speaks Basic only: run a local proxy that logs in for you (px, cntlm) and name that one in ${variable}`,
    };
  }
  return {
    problem: hadPassword ? 'does not accept the name and password of its URL' : 'asks for a name and a password',
    hint: `put them into its URL: ${variable}=http://name:password@host:port`,
  };
}
