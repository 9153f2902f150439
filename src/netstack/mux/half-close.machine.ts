// The two directions of a stream, as a table. Sans-io; used by stream.ts.
//
//              ┌── sendFin ──► localEnded ──┐ recvFin
//     open ────┤                            ├────────► closed
//              └── recvFin ──► remoteEnded ─┘ sendFin      ▲
//        any but closed ── sendReset, recvReset, linkLost ─┘
//
// Every way a stream ends: (1) both sides sent FIN; (2) we reset it: the program went away early; (3) the peer reset it;
// (4) the link died; (5) the peer broke the protocol, which is (4) with another reason. Each has a test.

export type StreamPhase = 'open' | 'localEnded' | 'remoteEnded' | 'closed';
export type PhaseEvent = 'sendFin' | 'recvFin' | 'sendReset' | 'recvReset' | 'linkLost';

const TABLE: Readonly<Record<StreamPhase, Partial<Record<PhaseEvent, StreamPhase>>>> = {
  open: { sendFin: 'localEnded', recvFin: 'remoteEnded', sendReset: 'closed', recvReset: 'closed', linkLost: 'closed' },
  localEnded: { recvFin: 'closed', sendReset: 'closed', recvReset: 'closed', linkLost: 'closed' },
  remoteEnded: { sendFin: 'closed', sendReset: 'closed', recvReset: 'closed', linkLost: 'closed' },
  closed: {},
};

/** The phase after `event`, or undefined where the event means nothing any more (it is ignored). */
export function nextPhase(phase: StreamPhase, event: PhaseEvent): StreamPhase | undefined {
  return TABLE[phase][event];
}
