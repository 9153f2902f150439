// Who the user is, to the API server: header fields and a client certificate, read anew for every request and every link, so
// that rotated files and tokens take effect. Not the plugin that makes some of them (exec-plugin.ts). Called by config.ts; used by rest.ts.
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ExecPlugin } from './exec-plugin.ts';
import { invalid, type Sourced } from './kubeconfig.ts';
import type { AuthInfo } from './kubeconfig-schema.ts';

export interface Credentials {
  /** Authorization and Impersonate-* fields. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** PEM. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export interface CredentialSource {
  /** Rejects with KUBECONFIG_INVALID (a file that can't be read) or CREDENTIALS_PLUGIN. */
  current(signal?: AbortSignal): Promise<Credentials>;
  /** The API server answered 401 to these. True: `current` may have better ones now, so asking once more makes sense. */
  rejected(credentials: Credentials): boolean;
}

interface SourceOptions {
  readonly user: Sourced<AuthInfo>;
  /** Makes a path of the file absolute. */
  readonly resolve: (path: string) => string;
  readonly plugin: ExecPlugin | undefined;
}

export function credentialSource({
  user: { name, file, value: user },
  resolve,
  plugin,
}: SourceOptions): CredentialSource {
  const fromFile = async (field: 'client-certificate' | 'client-key' | 'tokenFile', path: string): Promise<string> => {
    try {
      return await readFile(resolve(path), 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw invalid(`${file}: ${field} of the user '${name}' can't be read: ${resolve(path)} (${code})`, error);
    }
  };
  const pem = async (field: 'client-certificate' | 'client-key'): Promise<string | undefined> => {
    const data = user[`${field}-data`];
    if (data) return data;
    const path = user[field];
    return path ? fromFile(field, path) : undefined;
  };
  const bearer = async (): Promise<string | undefined> => {
    // The file's token counts, if it can be read; the other one is what it was before (client-go's order).
    if (user.tokenFile) {
      const read = fromFile('tokenFile', user.tokenFile).then((token) => token.trim());
      return (user.token ? read.catch(() => '') : read).then((token) => token || user.token);
    }
    return user.token;
  };
  return {
    async current(signal) {
      const [certificate, key, token] = await Promise.all([pem('client-certificate'), pem('client-key'), bearer()]);
      const headers = impersonation(user);
      if (token) headers['Authorization'] = `Bearer ${token}`;
      else if (user.username) {
        headers['Authorization'] = `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`;
      }
      if (!plugin || headers['Authorization']) return { headers, certificate, key };
      const made = await plugin.current(signal);
      if (made.token) headers['Authorization'] = `Bearer ${made.token}`;
      return { headers, certificate: made.certificate ?? certificate, key: made.certificate ? made.key : key };
    },
    rejected(credentials) {
      return plugin?.rejected(credentials) ?? false;
    },
  };
}

function impersonation(user: AuthInfo): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  if (user.as) headers['Impersonate-User'] = user.as;
  if (user['as-uid']) headers['Impersonate-Uid'] = user['as-uid'];
  if (user['as-groups']?.length) headers['Impersonate-Group'] = user['as-groups'];
  for (const [key, values] of Object.entries(user['as-user-extra'] ?? {})) {
    // Field names are case-insensitive, extra keys are not: everything outside of a token is escaped (client-go headerKeyEscape).
    headers[`Impersonate-Extra-${escapeKey(key)}`] = values;
  }
  return headers;
}

/** RFC 9110 §5.6.2 token characters stay, except `%`; all other bytes become %XX. */
function escapeKey(key: string): string {
  return [...Buffer.from(key)]
    .map((byte) =>
      /[A-Za-z0-9!#$&'*+\-.^_`|~]/.test(String.fromCharCode(byte))
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

/** Why the API server may have refused these credentials, as far as they tell it themselves; undefined where nothing is to be seen. */
export function visibleFault({ certificate, headers }: Credentials, now: Date): string | undefined {
  if (certificate) {
    const { validFromDate, validToDate } = new X509Certificate(certificate);
    if (validToDate < now) return `the client certificate expired at ${validToDate.toISOString()}`;
    if (validFromDate > now)
      return `the client certificate is not valid before ${validFromDate.toISOString()} (is this machine's clock right?)`;
  }
  const authorization = headers['Authorization'];
  if (typeof authorization === 'string' && authorization.startsWith('Bearer ')) {
    const expiry = tokenExpiry(authorization.slice('Bearer '.length));
    if (expiry && expiry < now) return `the token expired at ${expiry.toISOString()}`;
  }
  return undefined;
}

/** `exp` of a JSON web token (RFC 7519 §4.1.4); undefined where it is none. The token is not verified: only its owner reads the answer. */
function tokenExpiry(token: string): Date | undefined {
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp?: unknown };
    return typeof claims.exp === 'number' ? new Date(claims.exp * 1000) : undefined;
  } catch {
    return undefined;
  }
}
