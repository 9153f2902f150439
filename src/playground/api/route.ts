// From an HTTP method and URL to what is asked: resource, namespace, name, subresource and the verb of RBAC. Sans-io.
// Used by api/server.ts; paths outside of the resources (discovery, health) give `path` only.
import { findResource, type ResourceType } from './resources.ts';

export interface Route {
  /** The verb as RBAC knows it. */
  readonly verb: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly resource?: {
    readonly group: string;
    readonly version: string;
    readonly name: string;
    /** Undefined where the playground does not serve it: 404, but only after the rights were checked. */
    readonly type: ResourceType | undefined;
  };
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

const FLAG = /^(1|true)$/;

function verbOf(method: string, named: boolean, query: URLSearchParams): string {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return named ? 'delete' : 'deletecollection';
    default:
      if (FLAG.test(query.get('watch') ?? '')) return 'watch';
      return named ? 'get' : 'list';
  }
}

/** `method` in capitals, `url` as in the request line. Never throws: what can't be read is a path that nothing answers. */
export function parseRoute(method: string, url: string): Route {
  const cut = url.indexOf('?');
  const path = cut < 0 ? url : url.slice(0, cut);
  const query = new URLSearchParams(cut < 0 ? '' : url.slice(cut + 1));
  let parts: string[];
  try {
    parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = [];
  }
  const plain: Route = { verb: method === 'GET' ? 'get' : method.toLowerCase(), path, query };
  const core = parts[0] === 'api';
  if (!core && parts[0] !== 'apis') return plain;
  const group = core ? '' : (parts[1] ?? '');
  const version = parts[core ? 1 : 2] ?? '';
  const rest = parts.slice(core ? 2 : 3);
  if (rest.length === 0 || rest.length > 6) return plain;
  // namespaces/NS/RESOURCE[/NAME[/SUB]] is namespaced; namespaces[/NS[/SUB]] is the resource `namespaces` itself.
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2 && !['status', 'finalize'].includes(rest[2] ?? '');
  const [name = '', object, ...sub] = inNamespace ? rest.slice(2) : rest;
  const asked = { group, version, name, type: findResource(group, version, name) };
  return {
    ...plain,
    verb: verbOf(method, object !== undefined, query),
    resource: asked,
    ...(inNamespace ? { namespace: rest[1] as string } : {}),
    ...(object === undefined ? {} : { name: object }),
    ...(sub.length === 0 ? {} : { subresource: sub.join('/') }),
  };
}
