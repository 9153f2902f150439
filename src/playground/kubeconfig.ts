// The kubeconfig of a playground: one cluster, a user and a context for each of its users; `dev` is the current one. As JSON, which every
// reader of YAML takes. Pure; written by start.ts.
import type { User } from './api/users.ts';

export interface KubeconfigOptions {
  readonly server: string;
  readonly certificate: string;
  readonly namespace: string;
  readonly users: readonly User[];
}

export function kubeconfigText({ server, certificate, namespace, users }: KubeconfigOptions): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'dev',
    clusters: [
      {
        name: 'playground',
        cluster: { server, 'certificate-authority-data': Buffer.from(certificate).toString('base64') },
      },
    ],
    users: users.map((user) => ({ name: user.name, user: { token: user.token } })),
    contexts: users.map((user) => ({
      name: user.name,
      context: { cluster: 'playground', user: user.name, namespace },
    })),
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
