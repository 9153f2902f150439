// Did the cluster answer for a name of its own? Its DNS also answers for the whole internet, by forwarding: `web.dev` is found there, too.
// Pure; used where a name only looks like the cluster's (a guess of the router).
import type { ResolveAnswer } from '../dialer.ts';

/**
 * True where a record's owner is a name of the cluster: the search list has made `vault.locked` to `vault.locked.svc.cluster.local`.
 * A name whose domain differs from the configured one is known by its `.svc.`, which was not asked for.
 */
export function isOfCluster(asked: string, { records }: ResolveAnswer, clusterDomain: string): boolean {
  const [name, domain] = [asked.toLowerCase(), clusterDomain.toLowerCase()];
  return records.some(({ name: owner }) => {
    const full = owner.toLowerCase();
    return full.endsWith(`.${domain}`) || (full.startsWith(`${name}.`) && full.includes('.svc.'));
  });
}
