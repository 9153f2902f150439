// Who a program on the laptop is where the template asks for its pod (fields.ts says why it is none), and tokens of the workload's
// service account by TokenRequest, where the user may ask for them. Called by modes/workload/.
import { randomUUID } from 'node:crypto';
import { asKtError } from '../../errors.ts';
import { podPath, tokenPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import type { PodIdentity } from './fields.ts';
import type { Workload } from './find.ts';
import type { TokenSource } from './volumes.ts';

/** Seconds that a token is good for where the template does not say; the API server gives at least ten minutes. */
const TOKEN_SECONDS = 3600;
/** Part of its life after which a token is renewed, as the kubelet does. */
const RENEW_AT = 0.8;

interface PodList {
  readonly items?: readonly {
    readonly spec?: { readonly nodeName?: string };
    readonly status?: { readonly hostIP?: string };
  }[];
}

/** Asks for a pod of the workload only where the template wants to know its node. Never rejects. */
export async function podIdentity(
  api: ClusterApi,
  namespace: string,
  { name, template }: Workload,
  user: string,
  signal?: AbortSignal,
): Promise<PodIdentity> {
  const own = `${name.name}-kt-${user}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .slice(0, 63);
  const identity = { namespace, name: own.replaceAll(/^-+|-+$/g, ''), uid: randomUUID() };
  const labels = Object.entries(template.metadata?.labels ?? {});
  if (labels.length === 0 || !/"(spec\.nodeName|status\.hostIPs?)"/.test(JSON.stringify(template))) return identity;
  const query = { labelSelector: labels.map(([key, value]) => `${key}=${value}`).join(','), limit: 1 };
  const pods = await api.request<PodList>('GET', podPath(namespace), { query, signal }).catch((): PodList => ({}));
  const [pod] = pods.items ?? [];
  return { ...identity, nodeName: pod?.spec?.nodeName, hostIp: pod?.status?.hostIP };
}

interface TokenRequest {
  readonly status?: { readonly token?: string; readonly expirationTimestamp?: string };
}

/** Tokens for projected volumes; each is asked for once until most of its life is over. */
export function serviceAccountTokens(
  api: ClusterApi,
  namespace: string,
  serviceAccount: string,
  signal?: AbortSignal,
): TokenSource {
  const held = new Map<string, { readonly token: string; readonly renewAt: number }>();
  return async (audience, seconds = TOKEN_SECONDS) => {
    const known = held.get(audience ?? '');
    if (known && Date.now() < known.renewAt) return { token: known.token };
    const asked = Date.now();
    try {
      const spec = { expirationSeconds: seconds, ...(audience ? { audiences: [audience] } : {}) };
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
      const { status } = await api.request<TokenRequest>('POST', tokenPath(namespace, serviceAccount), {
        body,
        signal,
      });
      if (!status?.token) return { reason: 'the API server gave no token' };
      const end = Date.parse(status.expirationTimestamp ?? '') || asked + seconds * 1000;
      held.set(audience ?? '', { token: status.token, renewAt: asked + (end - asked) * RENEW_AT });
      return { token: status.token };
    } catch (error) {
      if (known) return { token: known.token };
      return { reason: `a token of the service account '${serviceAccount}'`, error: asKtError(error) };
    }
  };
}
