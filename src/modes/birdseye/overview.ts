// The mode `birdseye`: what a namespace has and who has what of it. Only reads: lists Services, endpoints and pods, and asks the ingress
// agents over a port-forward who holds them now. What may not be read, or is not answered in time, is said so instead.
// Called by cli/commands/birdseye.ts.
import { deploymentPath, endpointSlicesPath, podPath, servicePath } from '../../cluster/paths.ts';
import type { ClusterApi } from '../../cluster/rest.ts';
import { type Journal, journalOf } from '../../cluster/takeover/journal.ts';
import { MARK_ANNOTATION, nameFor } from '../../cluster/takeover/manifests.ts';
import { MANUAL } from '../../cluster/takeover/manual.ts';
import { list, listIfAllowed } from '../../cluster/takeover/objects.ts';
import { LABEL_SERVICE, type ServiceObject } from '../../cluster/takeover/types.ts';
import { asKtError } from '../../errors.ts';
import type { Holder } from '../../netstack/link/control.codec.ts';
import { IngressLink } from '../../session/inbound/ingress-link.ts';
import type { Connector, Overview, ServiceLine, ServiceState, ServiceUser } from '../../session/overview.ts';
import {
  isKtConnectHelper,
  KT_CONNECT_LABEL,
  ktConnectConnectors,
  ktConnectState,
  type PodTrace,
} from '../kt-connect/traces.ts';

/** Milliseconds for an agent's answer; longer would make an overview a wait. */
const ASK_MS = 2_000;
/** Agents that are asked at once: each is a TLS connection to the API server. */
const ASKED_AT_ONCE = 8;

/** The Deployment of a labelled endpoint. */
export interface ManualTrace {
  readonly metadata: PodTrace['metadata'];
  readonly status?: { readonly readyReplicas?: number };
}

export interface EndpointSlice {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly endpoints?: readonly {
    readonly addresses?: readonly string[];
    readonly conditions?: { readonly ready?: boolean };
  }[];
}

/** Rejects with RIGHTS_MISSING where Services may not be listed, or with what the API said. `version`: of this kt. */
export async function birdseye(
  api: ClusterApi,
  namespace: string,
  version: string,
  signal: AbortSignal,
): Promise<Overview> {
  const [services, slices, egress, foreign, manual] = await Promise.all([
    list<ServiceObject>(api, servicePath(namespace), undefined, signal),
    listIfAllowed<EndpointSlice>(api, endpointSlicesPath(namespace), undefined, signal),
    listIfAllowed<PodTrace>(api, podPath(namespace), 'kt/role=egress', signal),
    listIfAllowed<PodTrace>(api, podPath(namespace), KT_CONNECT_LABEL, signal),
    listIfAllowed<ManualTrace>(api, deploymentPath(namespace), MANUAL, signal),
  ]);
  const ready = slices && countReady(slices);
  const own = services.filter((service) => !isHelper(service));
  const holders = await askAgents(api, namespace, version, own, signal);
  const now = api.now();
  return {
    namespace,
    services: own.map((service) => lineOf(service, { ready, holders, foreign, manual: manual ?? [], now })),
    connected: egress && [
      ...egress.filter(runs).map(connectorOf),
      ...ktConnectConnectors((foreign ?? []).filter(runs)),
    ],
  };
}

export const runs = ({ metadata, status }: PodTrace): boolean =>
  metadata.deletionTimestamp === undefined && status?.phase !== 'Succeeded' && status?.phase !== 'Failed';

export const isHelper = (service: ServiceObject): boolean =>
  service.metadata.labels?.['kt/role'] === 'origin' || isKtConnectHelper(service);

export function countReady(slices: readonly EndpointSlice[]): Map<string, number> {
  const addresses = new Map<string, Set<string>>();
  for (const { metadata, endpoints } of slices) {
    const service = metadata.labels?.['kubernetes.io/service-name'] ?? '';
    const found = addresses.get(service) ?? new Set();
    addresses.set(service, found);
    // Unknown counts as ready (discovery.k8s.io/v1).
    for (const endpoint of endpoints ?? [])
      if (endpoint.conditions?.ready !== false) for (const address of endpoint.addresses ?? []) found.add(address);
  }
  return new Map([...addresses].map(([service, found]) => [service, found.size]));
}

export type Asked = readonly Holder[] | { readonly failed: string };

export async function askAgents(
  api: ClusterApi,
  namespace: string,
  version: string,
  services: readonly ServiceObject[],
  signal: AbortSignal,
): Promise<Map<string, Asked>> {
  const waiting = services.flatMap((service): [string, number][] => {
    const journal = journalOf(service);
    return journal === undefined || journal === 'unreadable' ? [] : [[service.metadata.name, journal.linkPort]];
  });
  const answers = new Map<string, Asked>();
  const ask = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [service, linkPort] = next;
      answers.set(service, await askAgent(api, namespace, version, service, linkPort, signal));
    }
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, ask));
  return answers;
}

async function askAgent(
  api: ClusterApi,
  namespace: string,
  version: string,
  service: string,
  linkPort: number,
  signal: AbortSignal,
): Promise<Asked> {
  const link = IngressLink.forQuestions({ api, namespace, service, linkPort, version });
  const limit = AbortSignal.timeout(ASK_MS);
  const late = new Promise<never>((_, reject) => {
    limit.addEventListener('abort', () => reject(new Error(`it did not answer within ${ASK_MS / 1000} s`)), {
      once: true,
    });
  });
  try {
    const looking = link.start(AbortSignal.any([signal, limit])).then(() => link.look());
    return await Promise.race([looking, late]);
  } catch (error) {
    signal.throwIfAborted();
    const { code, message } = asKtError(error);
    if (code === 'RIGHTS_MISSING') return { failed: 'you may not port-forward' };
    return { failed: limit.aborted ? `it did not answer within ${ASK_MS / 1000} s` : message };
  } finally {
    link.close();
  }
}

interface Facts {
  readonly ready: ReadonlyMap<string, number> | null;
  readonly holders: ReadonlyMap<string, Asked>;
  readonly foreign: readonly PodTrace[] | null;
  readonly manual: readonly ManualTrace[];
  readonly now: number;
}

export function lineOf(service: ServiceObject, { ready, holders, foreign, manual, now }: Facts): ServiceLine {
  const { name } = service.metadata;
  const { spec } = service;
  const journal = journalOf(service);
  const external = spec.type === 'ExternalName';
  return {
    name,
    type: spec.clusterIP === 'None' && !external ? 'Headless' : (spec.type ?? 'ClusterIP'),
    ports: (spec.ports ?? []).map((port) => ({
      port: port.port,
      name: port.name ?? null,
      protocol: port.protocol ?? 'TCP',
      targetPort: port.targetPort ?? port.port,
    })),
    ready: ready && !external ? (ready.get(name) ?? 0) : null,
    originReady: ready && hasOrigin(journal) ? (ready.get(nameFor(name, 'origin')) ?? 0) : null,
    ...(journal === undefined
      ? (manualState(name, manual) ?? stateWithoutJournal(service, foreign, now))
      : stateOf(name, journal, holders.get(name), now)),
  };
}

/** A preview is nobody's but the laptop's. */
const hasOrigin = (journal: Journal | 'unreadable' | undefined): boolean =>
  journal !== undefined && (journal === 'unreadable' || journal.kind !== 'preview');

type State = Pick<ServiceLine, 'state' | 'by' | 'notes'>;

/** Mesh in manual mode: its pods are ready while their laptops are there. */
function manualState(service: string, all: readonly ManualTrace[]): State | undefined {
  const mine = all.filter(({ metadata }) => metadata.labels?.[LABEL_SERVICE] === service);
  if (mine.length === 0) return undefined;
  const by = mine.map(({ metadata: { annotations, creationTimestamp }, status }): ServiceUser => {
    const mark = `${annotations?.[MARK_ANNOTATION] ?? '?'} (manual)`;
    const live = (status?.readyReplicas ?? 0) > 0;
    const { 'kt/user': user = 'unknown', 'kt/host': host = null } = annotations ?? {};
    return { user, host, mark, since: creationTimestamp ?? null, live, tool: 'kt' };
  });
  return { state: 'meshed', by, notes: [] };
}

function stateWithoutJournal(service: ServiceObject, foreign: readonly PodTrace[] | null, now: number): State {
  const { annotations = {}, labels } = service.metadata;
  if (labels?.['kt/role'] === 'preview') {
    const { 'kt/user': user = 'unknown', 'kt/host': host } = annotations;
    const since = service.metadata.creationTimestamp ?? null;
    return {
      state: 'previewing',
      by: [{ user, host: host ?? null, mark: null, since, live: null, tool: 'kt' }],
      notes: [],
    };
  }
  return ktConnectState(service, foreign ?? undefined, now) ?? { state: 'normal', by: [], notes: [] };
}

const STATES: Readonly<Record<Journal['kind'], ServiceState>> = {
  exchange: 'exchanged',
  mesh: 'meshed',
  preview: 'previewing',
};

function stateOf(name: string, journal: Journal | 'unreadable', asked: Asked | undefined, now: number): State {
  if (journal === 'unreadable')
    return { state: 'exchanged', by: [], notes: ['its journal is of a newer kt and can not be read'] };
  const { kind, user, host, at } = journal;
  const state = STATES[kind];
  const owner: ServiceUser = { user, host, mark: null, since: at, live: null, tool: 'kt' };
  if (asked === undefined || 'failed' in asked)
    return {
      state,
      by: [owner],
      notes: [
        `as its journal says who began it; others may be on it: the agent can't be asked (${asked?.failed ?? 'not asked'})`,
      ],
    };
  const users = asked.filter(({ rules }) => rules.length > 0).map((holder) => userOf(holder, now));
  if (users.length > 0) return { state, by: users, notes: [] };
  return {
    state,
    by: [{ ...owner, live: false }],
    notes: [`nobody holds it any more: \`kt recover ${name}\` ${kind === 'preview' ? 'removes it' : 'gives it back'}`],
  };
}

function userOf({ user, host, heldMs, live, rules }: Holder, now: number): ServiceUser {
  const marks = new Set(rules.map(({ match }) => (match.kind === 'header' ? `${match.name}: ${match.value}` : null)));
  const mark = [...marks].filter((one) => one !== null).join(', ');
  return {
    user,
    host,
    mark: mark === '' ? null : mark,
    since: new Date(now - heldMs).toISOString(),
    live,
    tool: 'kt',
  };
}

export function connectorOf({ metadata: { name, annotations, creationTimestamp } }: PodTrace): Connector {
  return {
    user: annotations?.['kt/user'] ?? 'unknown',
    host: annotations?.['kt/host'] ?? null,
    pod: name,
    since: creationTimestamp ?? null,
    lastActive: null,
    tool: 'kt',
  };
}
