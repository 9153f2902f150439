// Turns what the API server answers, when it is no success, into errors with a cause and a next step. Pure.
// Not for connections that failed (connection-errors.ts). Called by rest.ts and upgrade.ts.
import { asKtError, KtError } from '../errors.ts';
import type { ClusterConfig } from './config.ts';
import { visibleFault } from './credential-faults.ts';
import type { Credentials } from './credentials.ts';
import { missingRights, type Right } from './rights.ts';

/** The fields of the Kubernetes Status object that count here (apimachinery meta/v1). */
export interface Status {
  readonly kind: 'Status';
  readonly code: number;
  readonly reason?: string;
  readonly message: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

/** The HTTP status with which the API server refused; undefined where it did not get that far. */
export function statusCode(error: unknown): number | undefined {
  return (asKtError(error).cause as { code?: number } | undefined)?.code;
}

/** Characters of a foreign text that an error shows. */
const TEXT_MAX = 300;

export interface Answer {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly body: string;
  readonly credentials: Credentials;
  readonly config: Pick<ClusterConfig, 'user' | 'namespace' | 'server'>;
}

/** The body as a Status; where it is none, one made of the HTTP status and the text, as a proxy in between writes it. */
export function readStatus(status: number, body: string): Status & { readonly own: boolean } {
  try {
    const parsed = JSON.parse(body) as Partial<Status>;
    if (parsed.kind === 'Status') {
      return {
        ...parsed,
        kind: 'Status',
        code: parsed.code ?? status,
        message: parsed.message ?? parsed.reason ?? `HTTP ${status}`,
        own: true,
      };
    }
  } catch {
    // Not JSON.
  }
  return { kind: 'Status', code: status, message: plainText(body) || `HTTP ${status} without a text`, own: false };
}

/** One line of a body that may be HTML. */
function plainText(body: string): string {
  const text = body
    .slice(0, 10_000)
    .replace(/<(style|script|head)\b[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ');
  const line = text.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return line.length > TEXT_MAX ? `${line.slice(0, TEXT_MAX)}…` : line;
}

/** The KtError for an answer that is no success; its cause is the Status. */
export function answerError({ method, path, status, body, credentials, config }: Answer): KtError {
  const cause = readStatus(status, body);
  if (status === 401) return rejected(credentials, config, cause);
  if (status === 403) return forbidden(method, cause, credentials, config);
  if (!cause.own && [502, 503, 504].includes(status)) {
    return new KtError(
      'API_UNREACHABLE',
      `on the way to the API server ${config.server} something answered ${status}: ${cause.message}`,
      { cause },
    );
  }
  const text = cause.own ? cause.message : `${method} ${path} was answered with ${status}: ${cause.message}`;
  return new KtError('API_STATUS', text, { cause });
}

function rejected(credentials: Credentials, { user }: Answer['config'], cause: Status): KtError {
  const fault = visibleFault(credentials, new Date());
  return new KtError(
    'CREDENTIALS_REJECTED',
    `the API server does not accept the credentials of the user '${user}'${fault ? `: ${fault}` : ''}`,
    {
      hint: 'log in to the cluster again, or get a new kubeconfig',
      cause,
    },
  );
}

/** RBAC and the other authorizers write one sentence (apiserver handlers/responsewriters/errors.go). */
const FORBIDDEN =
  /User "([^"]*)" cannot (\w+) (?:resource "([^"]+)" in API group "([^"]*)"|path "([^"]+)")(?: in the namespace "([^"]+)")?/;

function forbidden(
  method: string,
  cause: Status & { own: boolean },
  credentials: Credentials,
  config: Answer['config'],
): KtError {
  const [, user = '', verb = '', resources = '', group = '', , namespace] = FORBIDDEN.exec(cause.message) ?? [];
  if (user === 'system:anonymous' && !credentials.headers['Impersonate-User']) {
    const fault = visibleFault(credentials, new Date());
    return new KtError(
      'CREDENTIALS_REJECTED',
      `the API server sees no credentials of the user '${config.user}'${fault ? `: ${fault}` : ''}`,
      {
        hint: 'does the user of this context have a certificate, a token or a plugin in the kubeconfig?',
        cause,
      },
    );
  }
  if (resources !== '') {
    const [resource = '', subresource] = resources.split('/');
    const right: Right = { verb, resource, ...(subresource ? { subresource } : {}), ...(group ? { group } : {}) };
    return missingRights(namespace, [right], user, cause);
  }
  // Admission (Pod Security, quota, webhooks) refuses with 403 too, but never judges what only reads.
  if (method === 'GET')
    return new KtError('RIGHTS_MISSING', cause.message, {
      hint: 'ask who runs the cluster for the right to do this',
      cause,
    });
  return new KtError('API_STATUS', cause.message, { cause });
}
