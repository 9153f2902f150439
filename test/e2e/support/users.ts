// Fresh users of the test cluster: service accounts without rights in a namespace of the test's own, each with a kubeconfig for the laptop.
// Used by rights-matrix, transports and corporate-network.
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { kubectl, type Laptop, UID } from './kt.ts';

export interface KubeconfigFields {
  readonly server?: string;
  readonly ca?: string;
  readonly proxyUrl?: string;
}

/** Makes the account and writes its kubeconfig; its path. */
export async function freshUser(laptop: Laptop, namespace: string, name: string): Promise<string> {
  await kubectl(['-n', namespace, 'create', 'serviceaccount', name], 'admin');
  return tokenKubeconfig(laptop, namespace, name);
}

/** Another kubeconfig for the account, with a server, an authority or a proxy of the test's own. */
export async function tokenKubeconfig(
  laptop: Laptop,
  namespace: string,
  name: string,
  { server, ca, proxyUrl }: KubeconfigFields = {},
): Promise<string> {
  const token = (await kubectl(['-n', namespace, 'create', 'token', name, '--duration=1h'], 'admin')).trim();
  const admin = parse(await kubectl(['config', 'view', '--raw', '--minify'], 'admin')) as {
    clusters: { cluster: Record<string, string> }[];
  };
  const cluster = {
    ...admin.clusters[0]?.cluster,
    ...(server === undefined ? {} : { server }),
    ...(ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') }),
    ...(proxyUrl === undefined ? {} : { 'proxy-url': proxyUrl }),
  };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'own',
    contexts: [{ name: 'own', context: { cluster: 'own', user: name, namespace } }],
    clusters: [{ name: 'own', cluster }],
    users: [{ name, user: { token } }],
  };
  const file = join(laptop.own('work'), `${name}-${Math.random().toString(36).slice(2, 8)}.yaml`);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  chownSync(file, UID, UID);
  return file;
}
