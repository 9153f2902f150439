// The URL of a proxy, read and shown without its password. Which proxy counts is route/no-proxy.ts's to say.
// Called by connect-client.ts, corporate-dialer.ts and cluster/proxy.ts. Pure.
import { KtError } from '../../errors.ts';

const SCHEMES = ['http:', 'https:', 'socks5:', 'socks5h:'];

/** `source` names where the text is from. Without a scheme it is http, as for Go and curl. Throws CORPORATE_PROXY, never with the text itself. */
export function parseProxyUrl(text: string, source: string): URL {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url && url.hostname !== '' && SCHEMES.includes(url.protocol)) return url;
  throw new KtError('CORPORATE_PROXY', `${source} is not the URL of a proxy that kt can speak to`, {
    hint: 'http://, https:// and socks5:// are possible, each with name:password@ before the host',
  });
}

/** Scheme, host and port. */
export function proxyName(proxy: URL): string {
  return `${proxy.protocol}//${proxy.host}`;
}
