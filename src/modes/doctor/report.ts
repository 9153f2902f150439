// The file that a user can send to somebody who helps: findings, versions and settings, without secrets. Each known secret of the
// kubeconfig, of proxies and of the environment is taken out wherever it shows, and what looks like one too. Pure.
// Called by cli/commands/doctor.ts.
import { arch, platform, release } from 'node:os';
import type { ClusterConfig } from '../../cluster/config.ts';
import type { Credentials } from '../../cluster/credentials.ts';
import type { Diagnosis } from '../../session/findings.ts';

/** Shorter ones are words that may well occur elsewhere: taking them out would tell where they are. */
const SECRET_MIN = 4;
const HIDDEN = '[hidden]';
/** Settings that explain a fault. Values of others are nobody's business. */
const TOLD =
  /^(?:KT_(?!TOKEN|PROXY_PASSWORD)[A-Z_]*|KUBECONFIG|(?:https?|no|all)_proxy|NODE_OPTIONS|NODE_EXTRA_CA_CERTS|JAVA_TOOL_OPTIONS|JAVA_HOME|PYTHONPATH|LANG|TERM)$/i;
const SECRET_NAME = /TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY/i;

export interface ReportInput {
  readonly diagnosis: Diagnosis;
  readonly env: NodeJS.ProcessEnv;
  readonly config?: ClusterConfig | undefined;
  readonly credentials?: Credentials | undefined;
}

export function reportText(input: ReportInput): string {
  const { diagnosis, env } = input;
  const lines = [
    `# kt doctor, ${diagnosis.time}`,
    `kt ${diagnosis.version}, Node ${process.versions.node} (OpenSSL ${process.versions.openssl}), ${platform()} ${release()} ${arch()}`,
    `context ${diagnosis.context ?? '?'}, namespace ${diagnosis.namespace ?? '?'}`,
    '',
    '## Findings',
    ...diagnosis.findings.flatMap(({ check, verdict, text, hint, code, ms }) => [
      `${verdict.padEnd(7)} ${check.padEnd(11)} ${ms} ms  ${text}${code ? ` (${code})` : ''}`,
      ...(hint && verdict !== 'ok' ? [`        → ${hint}`] : []),
    ]),
    '',
    '## Environment',
    ...Object.entries(env)
      .filter(([name, value]) => TOLD.test(name) && value !== undefined && value !== '')
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([name, value]) => `${name}=${value ?? ''}`),
    '',
  ];
  return redact(lines.join('\n'), secretsOf(input));
}

/** Everything that is known to be secret. */
export function secretsOf({ env, config, credentials }: Omit<ReportInput, 'diagnosis'>): string[] {
  const secrets: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    if (SECRET_NAME.test(name)) secrets.push(value);
    secrets.push(...urlSecrets(value));
  }
  if (config?.proxy) secrets.push(...urlSecrets(config.proxy.href));
  if (credentials) {
    const { headers, certificate, key, plugin } = credentials;
    secrets.push(
      ...[certificate, key, plugin?.token, plugin?.certificate, plugin?.key].filter((one) => one !== undefined),
    );
    const authorization = String(headers['Authorization'] ?? '');
    const value = authorization.split(' ')[1] ?? '';
    secrets.push(authorization, value);
    if (authorization.startsWith('Basic '))
      secrets.push(...Buffer.from(value, 'base64').toString().split(':').slice(1));
  }
  return secrets;
}

/** Passwords in URLs, as they stand and decoded. */
function urlSecrets(text: string): string[] {
  return [...text.matchAll(/:\/\/[^/\s:@]*:([^/\s@]+)@/g)].flatMap(([, password = '']) => {
    try {
      return [password, decodeURIComponent(password)];
    } catch {
      return [password];
    }
  });
}

/** Known secrets, in the forms in which they travel, then whatever looks like one. */
export function redact(text: string, secrets: readonly string[]): string {
  const forms = new Set(
    secrets
      .filter(({ length }) => length >= SECRET_MIN)
      .flatMap((secret) => [
        secret,
        secret.trim(),
        encodeURIComponent(secret),
        Buffer.from(secret).toString('base64'),
        JSON.stringify(secret).slice(1, -1),
      ]),
  );
  let clean = text;
  // The longest first: one may be a part of another.
  for (const form of [...forms].toSorted((a, b) => b.length - a.length)) clean = clean.replaceAll(form, HIDDEN);
  return clean
    .replace(/-----BEGIN [A-Z ]+-----[\s\S]*?(?:-----END [A-Z ]+-----|$)/g, HIDDEN)
    .replace(/\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?/g, HIDDEN)
    .replace(/(:\/\/)[^/\s@]+@/g, `$1${HIDDEN}@`)
    .replace(/\b(Bearer|Basic) +[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${HIDDEN}`)
    .replace(/((?:password|passwd|token|secret|api[_-]?key)["']?\s*[=:]\s*["']?)[^\s"',;&]+/gi, `$1${HIDDEN}`);
}
