// Which rights each way of holding a Service needs, asked all at once before anything is changed. Called by modes/hold.ts and modes/recover.ts.
import { missingRights, type Right } from '../access.ts';
import type { ClusterApi } from '../rest.ts';
import type { Way } from '../ways/names.ts';
import { checkWays } from '../ways/way-rights.ts';

/** How a Service is held: by its selector; with its pods scaled to none; as one more endpoint; as a new Service. And giving one back. */
export type HoldWay = 'selector' | 'scale' | 'manual' | 'preview' | 'restore';

interface Need {
  readonly right: Right;
  readonly ways: readonly HoldWay[];
}

/** An ingress agent listens on its pod's loopback only: what guards it is the right to reach that. */
export const INGRESS_WAYS: readonly Way[] = ['portforward', 'spdy', 'exec'];

const ALL: readonly HoldWay[] = ['selector', 'scale', 'manual', 'preview', 'restore'];
const HOLDS = ALL.filter((way) => way !== 'restore');
const service = (verb: string, ...ways: HoldWay[]): Need => ({ right: { verb, resource: 'services' }, ways });
const pod = (verb: string, ways: readonly HoldWay[]): Need => ({ right: { verb, resource: 'pods' }, ways });
const deployment = (verb: string, ...ways: HoldWay[]): Need => ({
  right: { verb, resource: 'deployments', group: 'apps' },
  ways,
});

const NEEDS: readonly Need[] = [
  service('get', ...ALL),
  service('create', 'selector', 'scale', 'preview'),
  service('patch', 'selector', 'scale', 'restore'),
  service('delete', 'selector', 'scale', 'preview', 'restore'),
  pod('get', HOLDS),
  pod('list', ALL),
  pod('watch', HOLDS),
  deployment('get', ...ALL),
  deployment('list', 'scale', 'manual'),
  deployment('create', ...HOLDS),
  deployment('patch', 'scale'),
  deployment('delete', ...ALL),
];

/** What these ways need besides a port-forward. */
export const holdRights = (ways: readonly HoldWay[]): readonly Right[] =>
  NEEDS.filter((need) => need.ways.some((way) => ways.includes(way))).map(({ right }) => right);

/** Rejects with RIGHTS_MISSING naming every verb that these ways need. */
export async function checkHoldRights(api: ClusterApi, namespace: string, ways: readonly HoldWay[]): Promise<void> {
  const rights = holdRights(ways);
  const access = await checkWays(api, namespace, rights);
  const reaches = ways.some((way) => way !== 'restore') ? access.missing(INGRESS_WAYS) : [];
  const denied = [...access.lacks(rights), ...reaches];
  if (denied.length > 0) throw missingRights(namespace, denied);
}
