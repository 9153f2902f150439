// Which header fields a proxy passes on (RFC 9110 §7.6.1), on Node's flat lists [name, value, name, value …] with case and order kept.
// Sans-io. Called by forward.ts and upgrade.ts. No field is added that tells who asked: no X-Forwarded-For, and no Via either
// (§7.6.3 asks for one, but servers such as nginx stop to compress when they see it, and a program must not notice the proxy).

/** Fields of one connection, besides those that Connection names. Transfer-Encoding is here because node:http frames anew. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);
/** Connection must not name these (§7.6.1); a request that does would otherwise lose its framing or its destination. */
const NEVER_DROPPED = new Set(['content-length', 'host']);

/** The fields to pass on. `keepNamed`: also those that Connection names (an upgrade's own, as HTTP2-Settings). */
export function endToEndFields(raw: readonly string[], keepNamed = false): string[] {
  const named = keepNamed ? new Set<string>() : new Set(connectionTokens(raw));
  const kept: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const [name = '', value = ''] = [raw[index], raw[index + 1]];
    const key = name.toLowerCase();
    if (HOP_BY_HOP.has(key) || (named.has(key) && !NEVER_DROPPED.has(key))) continue;
    kept.push(name, value);
  }
  return kept;
}

/** The members of all Connection fields, in lower case. */
export function connectionTokens(raw: readonly string[]): string[] {
  return fieldValues(raw, 'connection').flatMap((value) =>
    value
      .split(',')
      .map((token) => token.trim().toLowerCase())
      .filter((token) => token !== ''),
  );
}

/** Every value of a field, in order. `name` in lower case. */
export function fieldValues(raw: readonly string[], name: string): string[] {
  return raw.filter((_, index) => index % 2 === 1 && raw[index - 1]?.toLowerCase() === name);
}

/** The same list without one field. `name` in lower case. */
export function withoutField(raw: readonly string[], name: string): string[] {
  return raw.filter((_, index) => raw[index - (index % 2)]?.toLowerCase() !== name);
}

/** Trailer fields as node:http's addTrailers wants them. */
export function pairs(raw: readonly string[]): [string, string][] {
  return raw.flatMap((name, index): [string, string][] => (index % 2 === 0 ? [[name, raw[index + 1] ?? '']] : []));
}
