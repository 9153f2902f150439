// get, list, create, update, patch and delete of the stored resources, with the subresources `status` and `scale`.
// No HTTP in here: takes a Route and a parsed body, gives a code and an object, throws ApiError. Called by api/server.ts.

import type { Store } from '../store.ts';
import type { ApiObject, Manifest, Pod } from '../types.ts';
import { admitNamespace, admitPod, warningFor } from './admission.ts';
import { validate, withDefaults } from './defaults.ts';
import { jsonPatch, mergePatch, strategicMergePatch } from './patch.ts';
import {
  apiVersionOf,
  DEPLOYMENTS,
  findKind,
  NAMESPACES,
  PODS,
  QUOTAS,
  type ResourceType,
  SERVICE_ACCOUNTS,
  SERVICES,
} from './resources.ts';
import type { Route } from './route.ts';
import { shaped } from './schema.ts';
import { type Matcher, parseFieldSelector, parseLabelSelector } from './selector.ts';
import {
  ApiError,
  alreadyExists,
  badRequest,
  conflict,
  deleted,
  invalid,
  methodNotAllowed,
  noSuchPath,
  unsupportedMedia,
} from './status.ts';
import { toTable } from './table.ts';
import { updated } from './update.ts';

export interface Answer {
  readonly code: number;
  readonly body: unknown;
  /** For the `Warning` header. */
  readonly warning?: string | undefined;
}

export interface Body {
  /** The media type without parameters. */
  readonly contentType: string;
  readonly value: unknown;
}

const JSON_TYPE = 'application/json';
const MANIFEST_TYPES = ['', JSON_TYPE];
/** These answer a DELETE with the object; the others with a Status. */
const RETURN_DELETED: readonly ResourceType[] = [PODS, SERVICES, QUOTAS, SERVICE_ACCOUNTS];

/** What a dry run shows as the ClusterIP of a new Service. */
const DRY_RUN_ADDRESS = '198.19.79.254';

type Fields = Record<string, unknown>;

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** The matcher of a request's labelSelector and fieldSelector. Throws 400. */
export function selectorOf(type: ResourceType, query: URLSearchParams): Matcher {
  const byLabel = parseLabelSelector(query.get('labelSelector') ?? '');
  const byField = parseFieldSelector(type, query.get('fieldSelector') ?? '');
  return (object) => byLabel(object) && byField(object);
}

export class Objects {
  readonly #store: Store;
  readonly #allocateIp: () => string;

  constructor(store: Store, allocateIp: () => string) {
    this.#store = store;
    this.#allocateIp = allocateIp;
  }

  /** Everything but watch, log and port-forward. */
  handle(type: ResourceType, route: Route, body: Body, asTable: boolean): Answer {
    if (route.subresource === 'scale') return this.#scale(type, route, body);
    if (route.subresource !== undefined && route.subresource !== 'status') throw noSuchPath();
    const verbs = route.subresource === undefined ? [route.verb] : type.subresources?.[route.subresource];
    if (verbs === undefined) throw noSuchPath();
    if (!verbs.includes(route.verb)) throw methodNotAllowed();
    switch (route.verb) {
      case 'get': {
        const object = this.#store.mustGet(type, route.namespace, route.name ?? '');
        return { code: 200, body: asTable ? toTable(type, [object], object.metadata.resourceVersion) : object };
      }
      case 'list':
        return { code: 200, body: this.#list(type, route, asTable) };
      case 'create':
        return this.#create(type, route, body);
      case 'update':
        return this.#update(type, route, body);
      case 'patch':
        return this.#patch(type, route, body);
      case 'delete':
        return {
          code: 200,
          body: this.delete(type, route.namespace, route.name ?? '', route.query, fields(body.value)),
        };
      case 'deletecollection': {
        const matches = selectorOf(type, route.query);
        const gone = this.#store.list(type, route.namespace).filter(matches);
        for (const object of gone)
          this.delete(type, object.metadata.namespace, object.metadata.name, route.query, fields(body.value));
        return { code: 200, body: this.#asList(type, gone) };
      }
      default:
        throw methodNotAllowed();
    }
  }

  #asList(type: ResourceType, objects: readonly ApiObject[]): unknown {
    return {
      kind: `${type.kind}List`,
      apiVersion: apiVersionOf(type),
      metadata: { resourceVersion: String(this.#store.revision) },
      items: objects.map(({ kind: _kind, apiVersion: _version, ...object }) => object),
    };
  }

  #list(type: ResourceType, route: Route, asTable: boolean): unknown {
    const asked = route.query.get('resourceVersion') ?? '';
    if (/^\d+$/.test(asked) && Number(asked) > this.#store.revision) {
      const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
      throw new ApiError(
        504,
        'Timeout',
        `Timeout: Too large resource version: ${asked}, current: ${this.#store.revision}`,
        {
          causes,
          retryAfterSeconds: 1,
        },
      );
    }
    const found = this.#store.list(type, route.namespace).filter(selectorOf(type, route.query));
    return asTable ? toTable(type, found, String(this.#store.revision)) : this.#asList(type, found);
  }

  /** The body as an object of this resource. Throws 400 and 415 as the real server does. */
  #manifest(type: ResourceType, route: Route, body: Body): Manifest {
    if (!MANIFEST_TYPES.includes(body.contentType))
      throw unsupportedMedia(
        'the body of the request was in an unknown format - accepted media types include: application/json',
      );
    const given = fields(body.value);
    const kind = (given['kind'] as string | undefined) ?? type.kind;
    const apiVersion = (given['apiVersion'] as string | undefined) ?? apiVersionOf(type);
    if (kind !== type.kind || apiVersion !== apiVersionOf(type)) {
      const version = apiVersionOf(type).split('/').at(-1);
      const known = findKind(apiVersion, kind);
      throw badRequest(
        known === undefined
          ? `${kind} in version "${apiVersion}" cannot be handled as a ${type.kind}: no kind "${kind}" is registered for version "${apiVersion}"`
          : `${kind} in version "${version}" cannot be handled as a ${type.kind}: unknown conversion`,
      );
    }
    const metadata = fields(given['metadata']) as Partial<ApiObject['metadata']>;
    if (metadata.namespace !== undefined && metadata.namespace !== '' && metadata.namespace !== route.namespace)
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
    const where = route.namespace === undefined ? {} : { namespace: route.namespace };
    return { ...given, apiVersion: apiVersionOf(type), kind: type.kind, metadata: { ...metadata, ...where } };
  }

  #create(type: ResourceType, route: Route, body: Body): Answer {
    if (route.name !== undefined) throw methodNotAllowed();
    if (type.namespaced && route.namespace === undefined) throw methodNotAllowed();
    const manifest = this.#manifest(type, route, body);
    const made = this.create(type, manifest, route.query.get('dryRun') === 'All');
    return {
      code: 201,
      body: made,
      warning: 'scale' in (type.subresources ?? {}) ? warningFor(this.#store, made) : undefined,
    };
  }

  /** Used by the playground's own manifests too. Throws ApiError. */
  create(type: ResourceType, manifest: Manifest, dryRun = false): ApiObject {
    const named = shaped(type, manifest);
    const { name, generateName, namespace } = named.metadata;
    validate(type, generateName && !name ? { ...named, metadata: { name: 'generated' } } : named);
    if (name && this.#store.get(type, namespace, name) !== undefined) throw alreadyExists(type, name);
    admitNamespace(this.#store, namespace);
    // A dry run takes no address out of the pool.
    const complete = withDefaults(type, named, dryRun ? () => DRY_RUN_ADDRESS : this.#allocateIp);
    admitPod(this.#store, type, complete);
    const { resourceVersion: _version, uid: _uid, ...metadata } = complete.metadata as ApiObject['metadata'];
    const clean = { ...complete, metadata };
    if (type === NAMESPACES) return this.#store.create(type, { ...clean, status: { phase: 'Active' } });
    if (!dryRun) return this.#store.create(type, clean);
    return {
      ...clean,
      metadata: { ...metadata, uid: '', resourceVersion: '', creationTimestamp: new Date().toISOString() },
    };
  }

  #update(type: ResourceType, route: Route, body: Body): Answer {
    const manifest = shaped(type, this.#manifest(type, route, body));
    const name = manifest.metadata.name ?? '';
    if (name !== route.name)
      throw badRequest(`the name of the object (${name}) does not match the name on the URL (${route.name ?? ''})`);
    validate(type, manifest);
    return this.#put(type, route, manifest as unknown as ApiObject);
  }

  #put(type: ResourceType, route: Route, changed: ApiObject): Answer {
    const current = this.#store.mustGet(type, route.namespace, route.name ?? '');
    const version = changed.metadata.resourceVersion;
    if (version && version !== current.metadata.resourceVersion) throw conflict(type, current.metadata.name);
    const next = updated(type, current, changed, route.subresource === 'status');
    if (route.query.get('dryRun') === 'All') return { code: 200, body: next };
    return { code: 200, body: this.#store.update(type, next) };
  }

  #patch(type: ResourceType, route: Route, body: Body): Answer {
    const current = this.#store.mustGet(type, route.namespace, route.name ?? '');
    const result = fields(applyPatch(current, body));
    const patched = shaped(type, { ...result, metadata: fields(result['metadata']) } as Manifest) as ApiObject;
    if (patched.metadata.name !== current.metadata.name)
      throw badRequest('the name of the object does not match the name on the URL');
    if (route.subresource === undefined) validate(type, patched);
    return this.#put(type, route, patched);
  }

  #scale(type: ResourceType, route: Route, body: Body): Answer {
    if (!('scale' in (type.subresources ?? {}))) throw noSuchPath();
    const current = this.#store.mustGet(type, route.namespace, route.name ?? '');
    const view = (object: ApiObject): ApiObject => ({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata: object.metadata,
      spec: { replicas: fields(object.spec)['replicas'] },
      status: { replicas: fields(object.status)['replicas'] ?? 0 },
    });
    if (route.verb === 'get') return { code: 200, body: view(current) };
    const wanted = route.verb === 'patch' ? applyPatch(view(current), body) : body.value;
    const replicas = fields(fields(wanted)['spec'])['replicas'];
    if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas < 0)
      throw invalid(type, current.metadata.name, [
        {
          reason: 'FieldValueInvalid',
          field: 'spec.replicas',
          message: `Invalid value: ${JSON.stringify(replicas)}: must be greater than or equal to 0`,
        },
      ]);
    const next = updated(type, current, { ...current, spec: { ...fields(current.spec), replicas } }, false);
    return { code: 200, body: view(this.#store.update(type, next)) };
  }

  /** Throws 404 and 409. A pod goes through its grace period; everything else is gone at once. */
  delete(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    query: URLSearchParams,
    options: Fields,
  ): unknown {
    const current = this.#store.mustGet(type, namespace, name);
    const uid = fields(options['preconditions'])['uid'] as string | undefined;
    if (uid !== undefined && uid !== current.metadata.uid)
      throw new ApiError(
        409,
        'Conflict',
        `Operation cannot be fulfilled on ${type.kind} "${name}": the UID in the precondition (${uid}) does not match the UID in record (${current.metadata.uid}). The object might have been deleted and then recreated`,
        { name, kind: type.name },
      );
    const answer = RETURN_DELETED.includes(type) ? current : deleted(type, name, current.metadata.uid);
    if (query.get('dryRun') === 'All' || JSON.stringify(options['dryRun']) === '["All"]') return answer;
    const orphan = (query.get('propagationPolicy') ?? options['propagationPolicy']) === 'Orphan';
    if (orphan) this.#releaseDependents(current);
    if (type === PODS) {
      const asked = query.get('gracePeriodSeconds') ?? options['gracePeriodSeconds'];
      return this.#deletePod(current as Pod, asked === undefined || asked === null ? undefined : Number(asked));
    }
    this.#store.remove(type, namespace, name);
    return answer;
  }

  #deletePod(pod: Pod, asked: number | undefined): ApiObject {
    const { namespace, name } = pod.metadata;
    const grace = Math.max(0, asked ?? pod.spec.terminationGracePeriodSeconds ?? 30);
    if (grace === 0) return this.#store.remove(PODS, namespace, name) ?? pod;
    if (pod.metadata.deletionTimestamp !== undefined && grace >= (pod.metadata.deletionGracePeriodSeconds ?? 0))
      return pod;
    const deletionTimestamp = new Date(Date.now() + grace * 1000).toISOString().replace(/\.\d+/, '');
    return this.#store.update(PODS, {
      ...pod,
      metadata: { ...pod.metadata, deletionTimestamp, deletionGracePeriodSeconds: grace },
    });
  }

  #releaseDependents(owner: ApiObject): void {
    const types: readonly ResourceType[] = [PODS, DEPLOYMENTS, SERVICES];
    for (const type of types) {
      for (const object of this.#store.list(type, owner.metadata.namespace)) {
        const left = object.metadata.ownerReferences?.filter((reference) => reference.uid !== owner.metadata.uid);
        if (left === undefined || left.length === object.metadata.ownerReferences?.length) continue;
        this.#store.update(type, { ...object, metadata: { ...object.metadata, ownerReferences: left } });
      }
    }
  }
}

function applyPatch(current: ApiObject, body: Body): unknown {
  switch (body.contentType) {
    case 'application/merge-patch+json':
      return mergePatch(current, body.value);
    case 'application/strategic-merge-patch+json':
      return strategicMergePatch(current, body.value);
    case 'application/json-patch+json':
      return jsonPatch(current, body.value);
    default:
      throw unsupportedMedia(
        'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json',
      );
  }
}
