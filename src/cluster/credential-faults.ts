// Why credentials may have been refused, as far as they tell it themselves: times in a certificate or a token. Pure.
// Called by status.ts.
import { X509Certificate } from 'node:crypto';
import type { Credentials } from './credentials.ts';

/** One clause for people, or undefined where nothing is to be seen. */
export function visibleFault({ certificate, headers }: Credentials, now: Date): string | undefined {
  const authorization = headers['Authorization'];
  const token = typeof authorization === 'string' ? /^Bearer (.*)$/.exec(authorization)?.[1] : undefined;
  return (certificate && certificateFault(certificate, now)) || (token && tokenFault(token, now)) || undefined;
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
function tokenFault(token: string, now: Date): string | undefined {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp?: unknown };
    if (typeof exp === 'number' && exp * 1000 < now.getTime())
      return `the token expired at ${new Date(exp * 1000).toISOString()}`;
  } catch {
    // Not a JSON web token.
  }
  return undefined;
}
