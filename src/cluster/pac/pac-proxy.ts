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

/** undefined: direct. Rejects with API_PROXY or CANCELLED. */
export async function pacProxy(source: string, server: string, signal?: AbortSignal): Promise<URL | undefined> {
  const answers = parsePacAnswer(await asked(source, server, signal));
  if (answers.length === 0) {
    throw new KtError('API_PROXY', `the PAC file ${shown(source)} names no proxy that kt can speak to for ${server}`, {
      hint: 'PROXY, HTTPS, SOCKS5 and DIRECT are possible; name a proxy in HTTPS_PROXY instead',
    });
  }
  for (const answer of answers) {
    if (answer === 'direct') return undefined;
    // The only one is tried by whoever connects, who says best what is wrong with it.
    if (answers.length === 1 || (await isReached(answer, signal))) return answer;
  }
  const names = answers.map((answer) => (answer === 'direct' ? answer : proxyName(answer)));
  throw new KtError('API_PROXY', `none of the proxies that the PAC file names can be reached: ${names.join(', ')}`, {
    hint: 'is this laptop in the company network (VPN)? The PAC file is for it',
  });
}

async function asked(source: string, server: string, cancel?: AbortSignal): Promise<string> {
  const signal = limited(ASK_MS, cancel);
  const late = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(new Error(`no answer within ${ASK_MS / 1000} s`)), { once: true }),
  );
  const work = async (): Promise<string> => findProxy(await readPac(source, signal), server);
  try {
    return await Promise.race([work(), late]);
  } catch (cause) {
    if (cancel?.aborted) throw cancelled(cause);
    const { message } = cause as Error;
    throw new KtError('API_PROXY', `the PAC file ${shown(source)} can't be used: ${message}`, {
      hint: '--pac (or KT_PAC) takes a file or an http(s) URL; without it HTTPS_PROXY counts',
      cause,
    });
  }
}

const limited = (ms: number, cancel?: AbortSignal): AbortSignal =>
  AbortSignal.any([AbortSignal.timeout(ms), ...(cancel ? [cancel] : [])]);

const cancelled = (cause: unknown): KtError =>
  new KtError('CANCELLED', 'cancelled while asking the PAC file', { cause });

async function isReached(proxy: URL, cancel?: AbortSignal): Promise<boolean> {
  try {
    const socket = await reachProxy(proxy, limited(REACH_MS, cancel));
    socket.on('error', () => undefined).destroy();
    return true;
  } catch (error) {
    if (cancel?.aborted) throw cancelled(error);
    return false;
  }
}

/** A URL may hold a password. */
function shown(source: string): string {
  const url = /^https?:/i.test(source) ? URL.parse(source) : null;
  return url ? `${url.origin}${url.pathname}` : source;
}
