// The rights that each way into a pod takes, and which ways a user's rights leave open: asked together with what else a mode needs, in one
// round trip. Called by session/reach.ts, takeover/plan.ts and modes/doctor.
import { checkAccess, wantsCreate } from '../access.ts';
import type { ClusterApi } from '../rest.ts';
import { type Right, sameRight } from '../rights.ts';
import { WAYS, type Way } from './names.ts';
import { waysOf } from './ways.ts';

const right = (verb: string, subresource: string): Right => ({ verb, resource: 'pods', subresource });
const upgrade = (subresource: string, strict: boolean): Right[] =>
  (strict ? ['get', 'create'] : ['get']).map((verb) => right(verb, subresource));

/** `strict`: Kubernetes 1.35 and newer, which ask for `create` besides the `get` of a websocket. */
export function wayRights(way: Way, strict: boolean): Right[] {
  if (way === 'portforward' || way === 'exec') return upgrade(way, strict);
  return way === 'podproxy' ? [right('get', 'proxy')] : [right('create', 'portforward')];
}

const ALL: readonly Right[] = WAYS.flatMap((way) => wayRights(way, true)).filter(
  (one, index, all) => all.findIndex((other) => sameRight(one, other)) === index,
);

export interface WayAccess {
  /** Those of `others` that the user lacks. */
  readonly lacks: (others: readonly Right[]) => Right[];
  /** Ways whose rights are there; with --transport only that one, or none. */
  readonly open: readonly Way[];
  /** What to ask for so that one of `among` is open: nothing where one is, else the rights of the first, or of the one that was named. */
  readonly missing: (among: readonly Way[]) => Right[];
}

/** Asks for `others` and for every way. What is open is what waysOf(api) will try. */
export async function checkWays(
  api: ClusterApi,
  namespace: string,
  others: readonly Right[],
  signal?: AbortSignal,
): Promise<WayAccess> {
  // Which of the rights count is known when the version is.
  const [strict, denied] = await Promise.all([
    wantsCreate(api, signal),
    checkAccess(api, namespace, [...ALL, ...others], signal),
  ]);
  const lacks = (rights: readonly Right[]): Right[] =>
    rights.filter((one) => denied.some((other) => sameRight(one, other)));
  const { transport } = api.config;
  const possible = transport === undefined ? WAYS : [transport];
  const open = possible.filter((way) => lacks(wayRights(way, strict)).length === 0);
  if (open.length > 0) waysOf(api).allow(open);
  return {
    lacks,
    open,
    missing: (among) =>
      open.some((way) => among.includes(way)) ? [] : lacks(wayRights(transport ?? 'portforward', strict)),
  };
}
