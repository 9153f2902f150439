// The proxy that a PAC file (--pac) names for the API server: the first of its answers that can be reached. Asked once, when a command
// starts. Loaded only where a PAC file is given: its interpreter is large. Called by config.ts.
import { KtError } from '../../errors.ts';
import { reachProxy } from '../../netstack/http/connect-client.ts';
import { proxyName } from '../../netstack/http/proxy-url.ts';
import { parsePacAnswer } from './answer.codec.ts';
import { findProxy } from './evaluate.ts';
import { readPac } from './read.ts';

/** Milliseconds for reading the file and asking it, names that it resolves included. */
const ASK_MS = 10_000;
/** Milliseconds for one of several proxies to accept a connection before the next one is tried. */
const REACH_MS = 3_000;

/** undefined: direct. Rejects with API_PROXY. */
export async function pacProxy(source: string, server: string): Promise<URL | undefined> {
  const answers = parsePacAnswer(await asked(source, server));
  if (answers.length === 0) {
    throw new KtError('API_PROXY', `the PAC file ${shown(source)} names no proxy that kt can speak to for ${server}`, {
      hint: 'PROXY, HTTPS, SOCKS5 and DIRECT are possible; name a proxy in HTTPS_PROXY instead',
    });
  }
  for (const answer of answers) {
    if (answer === 'direct') return undefined;
    // The only one is tried by whoever connects, who says best what is wrong with it.
    if (answers.length === 1 || (await isReached(answer))) return answer;
  }
  const names = answers.map((answer) => (answer === 'direct' ? answer : proxyName(answer)));
  throw new KtError('API_PROXY', `none of the proxies that the PAC file names can be reached: ${names.join(', ')}`, {
    hint: 'is this laptop in the company network (VPN)? The PAC file is for it',
  });
}

async function asked(source: string, server: string): Promise<string> {
  const signal = AbortSignal.timeout(ASK_MS);
  const late = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(new Error(`no answer within ${ASK_MS / 1000} s`)), { once: true }),
  );
  const work = async (): Promise<string> => findProxy(await readPac(source, signal), server);
  try {
    return await Promise.race([work(), late]);
  } catch (cause) {
    const { message } = cause as Error;
    throw new KtError('API_PROXY', `the PAC file ${shown(source)} can't be used: ${message}`, {
      hint: '--pac (or KT_PAC) takes a file or an http(s) URL; without it HTTPS_PROXY counts',
      cause,
    });
  }
}

async function isReached(proxy: URL): Promise<boolean> {
  try {
    const socket = await reachProxy(proxy, AbortSignal.timeout(REACH_MS));
    socket.on('error', () => undefined).destroy();
    return true;
  } catch {
    return false;
  }
}

/** A URL may hold a password. */
function shown(source: string): string {
  const url = /^https?:/i.test(source) ? URL.parse(source) : null;
  return url ? `${url.origin}${url.pathname}` : source;
}
