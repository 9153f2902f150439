// The state of a session as every view shows it: a fold over its events, nothing else changes it. Pure.
import type { KeptCaller } from '../cluster/takeover/kept-callers.ts';
import type { Mode, Pulse, SessionEvent, ShownLogin } from './events.ts';

/** A Service whose traffic this session has. */
export interface HeldService {
  readonly service: string;
  readonly kind: 'exchange' | 'mesh' | 'preview';
  /** `VERSION: anna`; null: all requests. */
  readonly mark: string | null;
  readonly ports: readonly { readonly port: number; readonly local: number; readonly protocol: 'TCP' | 'UDP' }[];
  readonly since: string;
  /** down: the original pods answer meanwhile (a preview has none). */
  readonly link: 'up' | 'down';
  readonly linkReason: string | null;
  /** Who took it from us. */
  readonly evictedBy: string | null;
  /** Callers that keep connections to the original pods, as last looked. */
  readonly kept: readonly KeptCaller[];
}

export interface SessionState {
  readonly phase: 'opening' | 'ready' | 'ended';
  /** Names this laptop's user and the kubeconfig's; null before the kubeconfig was read. */
  readonly user: string | null;
  readonly host: string | null;
  readonly as: string | null;
  readonly server: string | null;
  /** ISO 8601. */
  readonly since: string | null;
  readonly namespace: string | null;
  readonly context: string | null;
  readonly proxy: string | null;
  readonly login: ShownLogin | null;
  readonly dns: string | null;
  readonly agent: string | null;
  readonly mode: Mode | null;
  readonly link: 'up' | 'down' | 'none';
  /** Why the link is down, as last heard. */
  readonly linkReason: string | null;
  readonly reduced: readonly string[];
  /** Local ports that lead to a target. */
  readonly forwards: readonly { readonly local: string; readonly remote: string; readonly protocol: 'TCP' | 'UDP' }[];
  readonly programs: readonly { readonly pid: number; readonly command: string }[];
  /** Programs that asked through a shim. */
  readonly shims: readonly { readonly runtime: string; readonly version: string; readonly pid: number }[];
  readonly holds: readonly HeldService[];
  /** As last measured; null while no view looks. */
  readonly pulse: Pulse | null;
}

/** Shims that are kept: a build tool starts hundreds of short programs. */
const SHIMS_MAX = 100;

export const initialState: SessionState = {
  phase: 'opening',
  user: null,
  host: null,
  as: null,
  server: null,
  since: null,
  namespace: null,
  context: null,
  proxy: null,
  login: null,
  dns: null,
  agent: null,
  mode: null,
  link: 'none',
  linkReason: null,
  reduced: [],
  forwards: [],
  programs: [],
  shims: [],
  holds: [],
  pulse: null,
};

export function reduce(state: SessionState, event: SessionEvent): SessionState {
  switch (event.type) {
    case 'opening': {
      const { namespace, context, as, server, user, host, since } = event;
      return { ...initialState, namespace, context, as, server, user, host, since };
    }
    case 'ready': {
      const { namespace, context, proxy, login = null, dns, agent, mode, reduced } = event;
      return { ...state, phase: 'ready', namespace, context, proxy, login, dns, agent, mode, reduced };
    }
    case 'link':
      if (event.state === 'up') return { ...state, link: 'up', linkReason: null };
      if (event.state === 'spare') return state;
      return {
        ...state,
        link: event.state === 'down' ? 'down' : state.link,
        linkReason: event.reason ?? state.linkReason,
      };
    case 'agent':
      return { ...state, agent: event.state === 'created' ? event.pod : null };
    case 'forwarding': {
      const { local, remote, protocol } = event;
      return { ...state, forwards: [...state.forwards, { local, remote, protocol }] };
    }
    case 'unforwarded':
      return { ...state, forwards: state.forwards.filter(({ local }) => local !== event.local) };
    case 'holding': {
      const { service, kind, mark, ports, since } = event;
      const others = state.holds.filter((hold) => hold.service !== service);
      const held = {
        service,
        kind,
        mark,
        ports,
        since,
        link: 'up' as const,
        linkReason: null,
        evictedBy: null,
        kept: [],
      };
      return { ...state, holds: [...others, held] };
    }
    case 'inbound':
      if (event.state === 'up') return changeHold(state, event.service, { link: 'up', linkReason: null });
      if (event.state === 'down')
        return changeHold(state, event.service, { link: 'down', linkReason: event.reason ?? null });
      return state;
    case 'evicted':
      return changeHold(state, event.service, { evictedBy: event.by });
    case 'kept':
      return changeHold(state, event.service, { kept: event.callers });
    case 'released':
      return { ...state, holds: state.holds.filter(({ service }) => service !== event.service) };
    case 'shim': {
      const { runtime, version, pid } = event;
      const others = state.shims.filter((shim) => shim.pid !== pid);
      return { ...state, shims: [...others, { runtime, version, pid }].slice(-SHIMS_MAX) };
    }
    case 'shimGone':
      return { ...state, shims: state.shims.filter(({ pid }) => pid !== event.pid) };
    case 'pulse': {
      const { type: _, ...pulse } = event;
      return { ...state, pulse };
    }
    case 'program':
      if (event.state === 'started')
        return { ...state, programs: [...state.programs, { pid: event.pid, command: event.command }] };
      return { ...state, programs: state.programs.filter((program) => program.pid !== event.pid) };
    case 'ended':
      return { ...state, phase: 'ended' };
    default:
      return state;
  }
}

function changeHold(state: SessionState, service: string, change: Partial<HeldService>): SessionState {
  return { ...state, holds: state.holds.map((hold) => (hold.service === service ? { ...hold, ...change } : hold)) };
}
