// Which rights each way of holding a Service needs, asked all at once before anything is changed. Called by modes/hold.ts.
import { checkAccess, forwardRights, missingRights, type Right } from '../access.ts';
import type { ClusterApi } from '../rest.ts';

/** How a Service is held: by its selector; with its pods scaled to none; as one more endpoint; as a new Service. */
export type HoldWay = 'selector' | 'scale' | 'manual' | 'preview';

interface Need {
  readonly right: Right;
  readonly ways: readonly HoldWay[];
}

const ALL: readonly HoldWay[] = ['selector', 'scale', 'manual', 'preview'];
const service = (verb: string, ...ways: HoldWay[]): Need => ({ right: { verb, resource: 'services' }, ways });
const pod = (verb: string): Need => ({ right: { verb, resource: 'pods' }, ways: ALL });
const deployment = (verb: string, ...ways: HoldWay[]): Need => ({
  right: { verb, resource: 'deployments', group: 'apps' },
  ways,
});

const NEEDS: readonly Need[] = [
  service('get', ...ALL),
  service('create', 'selector', 'scale', 'preview'),
  service('patch', 'selector', 'scale'),
  service('delete', 'selector', 'scale', 'preview'),
  pod('get'),
  pod('list'),
  pod('watch'),
  deployment('get', ...ALL),
  deployment('list', 'scale', 'manual'),
  deployment('create', ...ALL),
  deployment('patch', 'scale'),
  deployment('delete', ...ALL),
];

/** What these ways need besides a port-forward. */
export const holdRights = (ways: readonly HoldWay[]): readonly Right[] =>
  NEEDS.filter((need) => need.ways.some((way) => ways.includes(way))).map(({ right }) => right);

/** Rejects with RIGHTS_MISSING naming every verb that these ways need. */
export async function checkHoldRights(api: ClusterApi, namespace: string, ways: readonly HoldWay[]): Promise<void> {
  const denied = await checkAccess(api, namespace, [...holdRights(ways), ...(await forwardRights(api))]);
  if (denied.length > 0) throw missingRights(namespace, denied);
}
