// A fake API server that holds objects by path, for what only reads them: 404 for what is not there, 403 in RBAC's words for what is
// forbidden. Not a cluster: test/e2e has that.
import type { ClusterApi } from '../../../src/cluster/rest.ts';
import { apiFor, startFakeApi, statusBody } from './fake-api.ts';

const SHOP = '/api/v1/namespaces/shop';

export interface ObjectsApi {
  readonly api: ClusterApi;
  /** Path → object; may be changed while it runs. */
  readonly objects: Map<string, object>;
  /** Paths that were asked for. */
  readonly asked: string[];
}

export const configMap = (name: string, data: Record<string, string>): [string, object] => [
  `${SHOP}/configmaps/${name}`,
  { data },
];
export const secret = (name: string, data: Record<string, string>): [string, object] => [
  `${SHOP}/secrets/${name}`,
  {
    data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
  },
];
/** A Deployment whose pods have one container (more in `containers`). */
export const deployment = (name: string, container: object, spec: object = {}): [string, object] => [
  `/apis/apps/v1/namespaces/shop/deployments/${name}`,
  {
    spec: {
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'main', ...container }], ...spec },
      },
    },
  },
];

/** `forbidden`: the resources that the user may not get, and `serviceaccounts/token`. */
export async function objectsApi(
  objects: readonly (readonly [string, object])[],
  forbidden: readonly string[] = [],
): Promise<ObjectsApi> {
  const held = new Map(objects);
  const asked: string[] = [];
  const server = await startFakeApi((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://api');
    asked.push(pathname);
    const [, resource = '', , subresource] = /namespaces\/shop\/([^/]+)(\/[^/]+)?(?:\/([^/]+))?$/.exec(pathname) ?? [];
    const name = subresource ? `${resource}/${subresource}` : resource;
    const object = held.get(pathname);
    const send = (code: number, body: string): void => {
      response.writeHead(code, { 'content-type': 'application/json' }).end(body);
    };
    const verb = request.method === 'POST' ? 'create' : 'get';
    const refusal = `${name} is forbidden: User "tester" cannot ${verb} resource "${name}" in API group "" in the namespace "shop"`;
    if (forbidden.includes(name)) send(403, statusBody(403, 'Forbidden', refusal));
    else if (object) send(200, JSON.stringify(object));
    else send(404, statusBody(404, 'NotFound', `${name} not found`));
  });
  return { api: apiFor(server.url), objects: held, asked };
}
