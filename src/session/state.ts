// The state of a session as every view shows it: a fold over its events, nothing else changes it. Pure.
import type { Mode, SessionEvent } from './events.ts';

export interface SessionState {
  readonly phase: 'opening' | 'ready' | 'ended';
  readonly namespace: string | null;
  readonly context: string | null;
  readonly proxy: string | null;
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
}

export const initialState: SessionState = {
  phase: 'opening',
  namespace: null,
  context: null,
  proxy: null,
  dns: null,
  agent: null,
  mode: null,
  link: 'none',
  linkReason: null,
  reduced: [],
  forwards: [],
  programs: [],
};

export function reduce(state: SessionState, event: SessionEvent): SessionState {
  switch (event.type) {
    case 'ready': {
      const { namespace, context, proxy, dns, agent, mode, reduced } = event;
      return { ...state, phase: 'ready', namespace, context, proxy, dns, agent, mode, reduced };
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
