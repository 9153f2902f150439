// The way to the API server: credentials and their end, the proxy, TLS, the server's answer and clock, its version, and who it takes the
// user for. Changes nothing. Called by doctor.ts.

import { visibleExpiry, visibleFault } from '../../../cluster/credential-faults.ts';
import { proxyAuthority, reachThroughProxy } from '../../../cluster/proxy-probe.ts';
import { readJson } from '../../../cluster/response-body.ts';
import { ClusterApi } from '../../../cluster/rest.ts';
import { whoAmI } from '../../../cluster/whoami.ts';
import type { Check, Outcome } from '../types.ts';

/** Credentials that end sooner are worth a word; short-lived ones of plugins are renewed by themselves. */
const SOON_MS = 24 * 3_600_000;
/** Clocks that differ by more make tokens and certificates fail here and there; by SKEW_FAILS_MS nearly always. */
const SKEW_MS = 60_000;
const SKEW_FAILS_MS = 300_000;
/** The oldest version whose behaviour kt was tested for. */
const OLDEST_MINOR = 30;

export const checkCredentials: Check = async (world) => {
  const { config, signal } = world;
  if (!config) return [];
  const credentials = await config.credentials.current(signal);
  world.credentials = credentials;
  const { headers, certificate, plugin } = credentials;
  const authorization = String(headers['Authorization'] ?? '');
  const kind = plugin
    ? 'from the plugin'
    : authorization.startsWith('Bearer ')
      ? 'a token'
      : authorization.startsWith('Basic ')
        ? 'name and password'
        : certificate
          ? 'a client certificate'
          : undefined;
  if (kind === undefined) {
    return {
      verdict: 'failed',
      text: `the user '${config.user}' of the kubeconfig has no credentials`,
      hint: 'log in to the cluster as its documentation says, or choose another context with --context',
      code: 'CREDENTIALS_REJECTED',
    };
  }
  const fault = visibleFault(credentials, new Date());
  if (fault)
    return { verdict: 'failed', text: fault, hint: 'log in to the cluster again', code: 'CREDENTIALS_REJECTED' };
  const expiry = visibleExpiry(credentials);
  if (!expiry) return { verdict: 'ok', text: `${kind}, which does not say when it ends` };
  const left = expiry.at.getTime() - Date.now();
  const text = `${expiry.what}, until ${expiry.at.toISOString()}`;
  if (plugin || left > SOON_MS) return { verdict: 'ok', text };
  return {
    verdict: 'warning',
    text: `${text}: in ${Math.max(1, Math.round(left / 60_000))} minutes`,
    hint: 'log in again before you start something long',
  };
};

export const checkProxy: Check = async ({ config, options: { env }, signal }) => {
  if (!config) return [];
  const name = (variable: string): string | undefined => env[variable] ?? env[variable.toLowerCase()];
  const set = ['HTTPS_PROXY', 'HTTP_PROXY'].filter((variable) => name(variable));
  if (!config.proxy) {
    return {
      verdict: 'ok',
      text:
        set.length === 0
          ? 'none on the way to the API server'
          : `${set.join(', ')} is set, but not for the API server (NO_PROXY, or another scheme)`,
    };
  }
  await reachThroughProxy(config, signal);
  return { verdict: 'ok', text: `${proxyAuthority(config)} connects to the API server` };
};

export const checkApiServer: Check = async (world) => {
  const { config, signal } = world;
  if (!config) return [];
  const api = new ClusterApi(config);
  world.closers.push(() => api.close());
  const started = performance.now();
  const answer = await api.open('GET', '/version', { signal });
  const ms = performance.now() - started;
  const date = Date.parse(answer.headers.date ?? '');
  const version = await readJson<{ major?: string; minor?: string; gitVersion?: string }>(answer);
  world.api = api;
  const outcomes: Outcome[] = [{ verdict: 'ok', text: `${config.server} answers`, ms }];
  const skew = Number.isNaN(date) ? 0 : date - Date.now();
  if (Math.abs(skew) > SKEW_MS) {
    outcomes.push({
      verdict: Math.abs(skew) > SKEW_FAILS_MS ? 'failed' : 'warning',
      text: `the clock of this laptop is ${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? 'behind' : 'ahead of'} the API server's`,
      hint: 'set the clock: certificates and tokens are judged by it',
      code: 'CREDENTIALS_REJECTED',
    });
  }
  const minor = Number.parseInt(version?.minor ?? '', 10);
  const name = version?.gitVersion ?? `${version?.major ?? '?'}.${version?.minor ?? '?'}`;
  outcomes.push(
    minor < OLDEST_MINOR
      ? {
          check: 'version',
          verdict: 'warning',
          text: `Kubernetes ${name} is older than those that kt is tested with (1.${OLDEST_MINOR} and newer)`,
          hint: 'if the link fails below, this is why',
        }
      : { check: 'version', verdict: 'ok', text: `Kubernetes ${name}` },
  );
  return outcomes;
};

/** Where the server can't tell, the kubeconfig's name has to do. */
export const checkUser: Check = async (world) => {
  const { api, config, signal } = world;
  if (!api || !config) return [];
  const seen = await whoAmI(api, signal);
  world.user = seen?.name ?? config.user;
  const groups = (seen?.groups ?? []).filter((group) => !group.startsWith('system:'));
  const of = groups.length > 0 ? `, groups ${groups.join(', ')}` : '';
  return { verdict: 'ok', text: `the API server knows you as '${world.user}'${of}` };
};
