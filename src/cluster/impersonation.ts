// Header fields that ask the API server to act as somebody else. Pure. Called by credentials.ts.
// Source: https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/; client-go transport/round_trippers.go.
import type { AuthInfo } from './kubeconfig-schema.ts';

export function impersonation(user: AuthInfo): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  if (user.as) headers['Impersonate-User'] = user.as;
  if (user['as-uid']) headers['Impersonate-Uid'] = user['as-uid'];
  if (user['as-groups']?.length) headers['Impersonate-Group'] = user['as-groups'];
  for (const [key, values] of Object.entries(user['as-user-extra'] ?? {})) {
    headers[`Impersonate-Extra-${escapeKey(key)}`] = values;
  }
  return headers;
}

/** A key may hold what a field name may not: bytes that are no token characters (RFC 9110 §5.6.2), and `%`, become %XX. */
function escapeKey(key: string): string {
  const escape = (byte: number): string => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9!#$&'*+\-.^_`|~]/.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  };
  return [...Buffer.from(key)].map(escape).join('');
}
