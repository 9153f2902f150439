// What a program is told about its way to the API server, so that it finds one as in a pod: variables, a kubeconfig, and the three
// files of a service account, all for kt's door (session/api-door.ts). Pure. Called by open.ts.
//
// The program acts as the user, with the user's rights: a service account's token is never copied. Client libraries look at
// KUBECONFIG first; those that insist on the files of a pod find them where their own setting says (docs/workload.md).
import { SERVICE_ACCOUNT_FOLDER } from '../../cluster/workload/volumes.ts';
import type { ApiDoor } from '../../session/api-door.ts';

const KUBECONFIG = '/kubeconfig';

export interface ApiAccess {
  /** Path in the container → content, also of the kubeconfig. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly variables: Readonly<Record<string, string>>;
}

export function apiAccess(
  { port, token, certificate }: Pick<ApiDoor, 'port' | 'token' | 'certificate'>,
  namespace: string,
  place: (path: string) => string,
): ApiAccess {
  const named = (name: string): string => `${SERVICE_ACCOUNT_FOLDER}/${name}`;
  const authority = Buffer.from(certificate).toString('base64');
  // JSON is YAML.
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'kt',
    clusters: [
      { name: 'kt', cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': authority } },
    ],
    users: [{ name: 'kt', user: { token } }],
    contexts: [{ name: 'kt', context: { cluster: 'kt', user: 'kt', namespace } }],
  };
  return {
    files: new Map([
      [KUBECONFIG, Buffer.from(`${JSON.stringify(kubeconfig, undefined, 2)}\n`)],
      [named('token'), Buffer.from(token)],
      [named('ca.crt'), Buffer.from(certificate)],
      [named('namespace'), Buffer.from(namespace)],
    ]),
    variables: {
      KUBECONFIG: place(KUBECONFIG),
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(port),
      KUBERNETES_SERVICE_PORT_HTTPS: String(port),
      KUBERNETES_PORT: `tcp://127.0.0.1:${port}`,
      // Where Spring Cloud Kubernetes and the fabric8 client look for what has a fixed path in a pod.
      SPRING_CLOUD_KUBERNETES_CLIENT_SERVICEACCOUNTNAMESPACEPATH: place(named('namespace')),
      KUBENAMESPACE: place(named('namespace')),
      KUBERNETES_AUTH_SERVICEACCOUNT_TOKEN: place(named('token')),
      KUBERNETES_CERTS_CA_FILE: place(named('ca.crt')),
    },
  };
}
