// What a PAC file's FindProxyForURL answers, as proxies in its order: `PROXY proxy:3128; SOCKS5 s:1080; DIRECT`. Pure; who asks the file is
// evaluate.ts, who takes one of the answers is pac-proxy.ts.
const SCHEMES: Readonly<Record<string, string>> = {
  PROXY: 'http:',
  HTTP: 'http:',
  HTTPS: 'https:',
  SOCKS: 'socks5:',
  SOCKS5: 'socks5:',
};
/** Alternatives that are looked at; real files name two or three. */
const ANSWERS_MAX = 16;

/** Kinds that kt does not speak (SOCKS4), and what can't be read, is left out. An empty answer means DIRECT, as in browsers. */
export function parsePacAnswer(text: string): (URL | 'direct')[] {
  const parts = text
    .split(';', ANSWERS_MAX)
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (parts.length === 0) return ['direct'];
  return parts.flatMap((part): (URL | 'direct')[] => {
    const [kind = '', at, ...rest] = part.split(/\s+/);
    if (kind.toUpperCase() === 'DIRECT' && at === undefined) return ['direct'];
    const scheme = Object.hasOwn(SCHEMES, kind.toUpperCase()) ? SCHEMES[kind.toUpperCase()] : undefined;
    if (scheme === undefined || at === undefined || rest.length > 0 || /[/?#@]/.test(at)) return [];
    const url = URL.parse(`${scheme}//${at}`);
    return url && url.hostname !== '' ? [url] : [];
  });
}
