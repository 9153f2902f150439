// What a credentials plugin is configured to be and what it answers (ExecCredential), checked as client-go does. Sans-io.
// Called by exec-plugin.ts and config.ts. Source: https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
import { KtError } from '../errors.ts';
import { invalid } from './kubeconfig.ts';
import type { ExecConfig } from './kubeconfig-schema.ts';

const GROUP = 'client.authentication.k8s.io';

export interface PluginCredentials {
  readonly token?: string | undefined;
  /** PEM. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  /** Milliseconds since 1970; without it they are good until they are rejected. */
  readonly expires?: number | undefined;
}

export function pluginProblem(user: string, { command }: ExecConfig, problem: string, hint?: string): KtError {
  return new KtError(
    'CREDENTIALS_PLUGIN',
    `the credentials plugin '${command}' of the user '${user}' ${problem}`,
    hint ? { hint } : {},
  );
}

/** Throws KUBECONFIG_INVALID. `where` names file and user. */
export function checkExec(exec: ExecConfig, where: string): ExecConfig & { apiVersion: string; command: string } {
  const { command, apiVersion } = exec;
  if (!command) throw invalid(`${where}: exec.command is missing`);
  if (!apiVersion) throw invalid(`${where}: exec.apiVersion is missing`);
  if (![`${GROUP}/v1`, `${GROUP}/v1beta1`].includes(apiVersion)) {
    throw invalid(`${where}: exec.apiVersion must be ${GROUP}/v1 or v1beta1; update the plugin and the kubeconfig`);
  }
  const mode = exec.interactiveMode ?? (apiVersion.endsWith('/v1beta1') ? 'IfAvailable' : undefined);
  if (mode === undefined) throw invalid(`${where}: exec.interactiveMode is missing, which ${GROUP}/v1 asks for`);
  if (!['Never', 'IfAvailable', 'Always'].includes(mode)) {
    throw invalid(`${where}: exec.interactiveMode must be Never, IfAvailable or Always`);
  }
  return { ...exec, command, apiVersion, interactiveMode: mode };
}

/** Throws CREDENTIALS_PLUGIN; never with the answer's text. */
export function parseExecCredential(text: string, user: string, exec: ExecConfig): PluginCredentials {
  const fail = (problem: string): never => {
    throw pluginProblem(user, exec, problem, `it must print an ExecCredential of ${exec.apiVersion} as JSON`);
  };
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return fail('did not answer with JSON');
  }
  const { kind, apiVersion, status } = isObject(answer) ? answer : ({} as Record<string, unknown>);
  if (kind !== 'ExecCredential') return fail('answered with something that is no ExecCredential');
  if (apiVersion !== exec.apiVersion) return fail('answered in another version than the kubeconfig asks for');
  if (!isObject(status)) return fail('answered without a status');
  const field = (name: string): string | undefined => {
    const value = status[name];
    if (value === undefined || value === null || value === '') return undefined;
    return typeof value === 'string' ? value : fail(`answered with a status.${name} that is no text`);
  };
  const [token, certificate, key] = [field('token'), field('clientCertificateData'), field('clientKeyData')];
  if ((certificate === undefined) !== (key === undefined)) return fail('answered with half of a client certificate');
  if (token === undefined && certificate === undefined)
    return fail('answered with neither a token nor a client certificate');
  const until = field('expirationTimestamp');
  const expires = until === undefined ? undefined : Date.parse(until);
  if (Number.isNaN(expires)) return fail('answered with an expirationTimestamp that is no time');
  return { token, certificate, key, expires };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
