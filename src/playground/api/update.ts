// What an update may change: the rules between the object that is stored and the one that a client wants to store. Pure.
// Used by api/objects.ts for PUT, PATCH and scale.
import { isDeepStrictEqual } from 'node:util';
import type { ApiObject, Pod, PodSpec, Service } from '../types.ts';
import { podSpecDefaults, withDefaults } from './defaults.ts';
import { PODS, type ResourceType, SERVICES } from './resources.ts';
import { invalid } from './status.ts';

const POD_FIELDS =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** The spec without what may change. */
function fixedPart(spec: PodSpec): unknown {
  const containers = spec.containers.map((container) => ({ ...container, image: '' }));
  return { ...podSpecDefaults({ ...spec, containers }), activeDeadlineSeconds: 0, tolerations: [] };
}

function checkPod(before: Pod, after: Pod): void {
  const same =
    Array.isArray(after.spec?.containers) && isDeepStrictEqual(fixedPart(before.spec), fixedPart(after.spec));
  if (!same)
    throw invalid(PODS, before.metadata.name, [
      { reason: 'FieldValueForbidden', field: 'spec', message: `Forbidden: ${POD_FIELDS}` },
    ]);
}

function checkService(before: Service, after: Service): void {
  if (
    before.spec.clusterIP === after.spec.clusterIP ||
    before.spec.type === 'ExternalName' ||
    after.spec.type === 'ExternalName'
  )
    return;
  const wanted = JSON.stringify([after.spec.clusterIP]);
  throw invalid(SERVICES, before.metadata.name, [
    {
      reason: 'FieldValueInvalid',
      field: 'spec.clusterIPs[0]',
      message: `Invalid value: ${wanted}: may not change once set`,
    },
  ]);
}

/** The object to store. `statusOnly` is the subresource `status`; otherwise the stored status stays. Throws 422. */
export function updated(type: ResourceType, current: ApiObject, wanted: ApiObject, statusOnly: boolean): ApiObject {
  if (statusOnly)
    return {
      ...current,
      metadata: { ...current.metadata, resourceVersion: wanted.metadata.resourceVersion },
      status: wanted.status,
    };
  const system = {
    uid: wanted.metadata.uid ?? current.metadata.uid,
    resourceVersion: wanted.metadata.resourceVersion ?? '',
    creationTimestamp: current.metadata.creationTimestamp,
    ...(current.metadata.generateName === undefined ? {} : { generateName: current.metadata.generateName }),
    ...(current.metadata.deletionTimestamp === undefined
      ? {}
      : { deletionTimestamp: current.metadata.deletionTimestamp }),
  };
  const named = { ...wanted, metadata: { ...wanted.metadata, ...system } };
  const keepsStatus = 'status' in (type.subresources ?? {});
  const withStatus = keepsStatus && current.status !== undefined ? { ...named, status: current.status } : named;
  if (type === PODS) {
    checkPod(current as Pod, withStatus as Pod);
    return withStatus;
  }
  if (type === SERVICES) {
    const next = withDefaults(type, withStatus, () => (current as Service).spec.clusterIP ?? '') as unknown as Service;
    checkService(current as Service, next);
    return next;
  }
  if (current.metadata.generation === undefined) return withStatus;
  const complete = { ...(withDefaults(type, withStatus, () => '') as unknown as ApiObject), status: current.status };
  const changed = !isDeepStrictEqual(complete.spec, current.spec);
  const generation = current.metadata.generation + (changed ? 1 : 0);
  return { ...complete, metadata: { ...complete.metadata, generation } };
}
