// Who still holds connections to a taken Service's original pods: a kept-alive connection never moves by itself, so its caller notices
// nothing of the take-over. Looks into the pods' own tables of connections (exec) and changes nothing. Called by modes/kept.ts.
import { setTimeout as wait } from 'node:timers/promises';
import { asKtError } from '../../errors.ts';
import { checkAccess, execRights, missingRights } from '../access.ts';
import { execInPod } from '../exec.ts';
import { podPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { isReady, list, type PodObject, selectorText } from './objects.ts';
import { ESTABLISHED, parseProcNetTcp, type TcpEntry } from './proc-net-tcp.codec.ts';
import { LABEL_SERVICE } from './types.ts';

/** Milliseconds between two looks: what is there at both is kept; probes and callers that open a connection for each request are not. */
const APART_MS = 400;
/** Pods that are looked into at once; what more pods have is not known then, and said. */
const PODS_MAX = 32;
/** Containers of a pod that are tried: they share the table, but not all have `cat`. */
const CONTAINERS_MAX = 3;
const COMMAND = ['cat', '/proc/net/tcp', '/proc/net/tcp6'];

export interface KeptCaller {
  /** Name of a pod of the namespace, else an address. */
  readonly caller: string;
  readonly connections: number;
  /** Original pods that they lead to. */
  readonly pods: readonly string[];
}

export interface Kept {
  readonly callers: readonly KeptCaller[];
  /** Original pods that could not be looked into. */
  readonly unknown: readonly string[];
  /** Why; null where all are known. */
  readonly reason: string | null;
}

export interface OriginalPods {
  readonly service: string;
  readonly selector: Readonly<Record<string, string>>;
  /** The pods' TCP ports. */
  readonly ports: readonly number[];
}

/** Rejects with what the API says about listing pods; a pod that can't be looked into is `unknown`. */
export async function keptCallers(
  api: ClusterApi,
  namespace: string,
  { service, selector, ports }: OriginalPods,
  signal: AbortSignal,
): Promise<Kept> {
  const originals = (await list<PodObject>(api, podPath(namespace), selectorText(selector), signal)).filter(isReady);
  const names = originals.map(({ metadata }) => metadata.name);
  const denied = await checkAccess(api, namespace, await execRights(api, signal), signal);
  if (denied.length > 0) return { callers: [], unknown: names, reason: missingRights(namespace, denied).message };
  const unknown = names.slice(PODS_MAX);
  let reason = unknown.length > 0 ? `kt looks into ${PODS_MAX} pods` : null;
  const seen = new Map<string, readonly TcpEntry[]>();
  await Promise.all(
    originals.slice(0, PODS_MAX).map(async (pod) => {
      const { name } = pod.metadata;
      try {
        const first = await connectionsOf(api, namespace, pod, ports, signal);
        // Only where there is something to be looked at again.
        if (first.length > 0) await wait(APART_MS, undefined, { signal });
        const second = first.length > 0 ? await connectionsOf(api, namespace, pod, ports, signal) : [];
        seen.set(name, inBoth(first, second));
      } catch (error) {
        if (signal.aborted) throw error;
        unknown.push(name);
        reason = asKtError(error).message;
      }
    }),
  );
  const all = await list<PodObject>(api, podPath(namespace), undefined, signal);
  return { callers: callersOf(seen, all, service), unknown, reason };
}

async function connectionsOf(
  api: ClusterApi,
  namespace: string,
  { metadata: { name: pod }, spec }: PodObject,
  ports: readonly number[],
  signal: AbortSignal,
): Promise<TcpEntry[]> {
  let message = 'no container';
  for (const { name: container } of (spec?.containers ?? []).slice(0, CONTAINERS_MAX)) {
    const { stdout, message: fault } = await execInPod(api, { namespace, pod, container, command: COMMAND }, signal);
    // Where the kernel has no IPv6 `cat` fails and has given the other table all the same.
    if (stdout.includes('local_address'))
      return parseProcNetTcp(stdout).filter(({ state, local }) => state === ESTABLISHED && ports.includes(local.port));
    message = fault || 'cat gave nothing';
  }
  throw new Error(`${pod}: ${message}`);
}

const keyOf = ({ local, remote }: TcpEntry): string => `${remote.address} ${remote.port} ${local.port}`;

function inBoth(first: readonly TcpEntry[], second: readonly TcpEntry[]): TcpEntry[] {
  const before = new Set(first.map(keyOf));
  return second.filter((entry) => before.has(keyOf(entry)));
}

/** By caller, those with most connections first. The agent's own connections are no caller's. */
export function callersOf(
  seen: ReadonlyMap<string, readonly TcpEntry[]>,
  all: readonly PodObject[],
  service: string,
): KeptCaller[] {
  const byAddress = new Map(all.map((pod) => [pod.status?.podIP, pod]));
  const callers = new Map<string, { connections: number; pods: Set<string> }>();
  for (const [pod, entries] of seen) {
    for (const { remote } of entries) {
      const from = byAddress.get(remote.address)?.metadata;
      if (from?.labels?.['kt/role'] === 'ingress' && from.labels[LABEL_SERVICE] === service) continue;
      const name = from?.name ?? remote.address;
      const caller = callers.get(name) ?? { connections: 0, pods: new Set() };
      caller.connections += 1;
      caller.pods.add(pod);
      callers.set(name, caller);
    }
  }
  return [...callers]
    .map(([caller, { connections, pods }]) => ({ caller, connections, pods: [...pods] }))
    .sort((one, other) => other.connections - one.connections || one.caller.localeCompare(other.caller));
}
