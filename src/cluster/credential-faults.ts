// Why credentials may have been refused, as far as they tell it themselves: times in a certificate or a token. Pure.
// Called by status.ts, and by modes/doctor.
import { X509Certificate } from 'node:crypto';
import type { Credentials } from './credentials.ts';

/** One clause for people, or undefined where nothing is to be seen. */
export function visibleFault({ certificate, headers }: Credentials, now: Date): string | undefined {
  const authorization = headers['Authorization'];
  const token = typeof authorization === 'string' ? /^Bearer (.*)$/.exec(authorization)?.[1] : undefined;
  return (certificate && certificateFault(certificate, now)) || (token && tokenFault(token, now)) || undefined;
}

export interface Expiry {
  /** `client certificate of CN=dev`, `token`. */
  readonly what: string;
  readonly at: Date;
}

/** When the credentials end, as far as they tell it. */
export function visibleExpiry({ certificate, headers, plugin }: Credentials): Expiry | undefined {
  if (plugin?.expires !== undefined) return { what: 'credentials of the plugin', at: new Date(plugin.expires) };
  const authorization = headers['Authorization'];
  const token = typeof authorization === 'string' ? /^Bearer (.*)$/.exec(authorization)?.[1] : undefined;
  const exp = token === undefined ? undefined : tokenExpiry(token);
  if (exp !== undefined) return { what: 'token', at: exp };
  if (certificate === undefined) return undefined;
  try {
    const { subject, validToDate } = new X509Certificate(certificate);
    return { what: `client certificate of ${subject.replaceAll('\n', ', ')}`, at: validToDate };
  } catch {
    // Not to be read here: the connection will say so.
    return undefined;
  }
}

function certificateFault(pem: string, now: Date): string | undefined {
  try {
    const { validFromDate, validToDate } = new X509Certificate(pem);
    if (validToDate < now) return `the client certificate expired at ${validToDate.toISOString()}`;
    if (validFromDate > now)
      return `the client certificate is valid from ${validFromDate.toISOString()} on (is the clock right?)`;
  } catch {
    // Not to be read here: then it says nothing.
  }
  return undefined;
}

/** `exp` of a JSON web token (RFC 7519 §4.1.4). It is not verified: only its owner reads the answer. */
function tokenExpiry(token: string): Date | undefined {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp?: unknown };
    return typeof exp === 'number' ? new Date(exp * 1000) : undefined;
  } catch {
    // Not a JSON web token.
    return undefined;
  }
}

function tokenFault(token: string, now: Date): string | undefined {
  const end = tokenExpiry(token);
  return end !== undefined && end < now ? `the token expired at ${end.toISOString()}` : undefined;
}
