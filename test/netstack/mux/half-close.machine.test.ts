import { expect, test } from 'vitest';
import { nextPhase, type PhaseEvent, type StreamPhase } from '../../../src/netstack/mux/half-close.machine.ts';

const none = undefined;

test.each<[StreamPhase, Record<PhaseEvent, StreamPhase | undefined>]>([
  [
    'open',
    { sendFin: 'localEnded', recvFin: 'remoteEnded', sendReset: 'closed', recvReset: 'closed', linkLost: 'closed' },
  ],
  ['localEnded', { sendFin: none, recvFin: 'closed', sendReset: 'closed', recvReset: 'closed', linkLost: 'closed' }],
  ['remoteEnded', { sendFin: 'closed', recvFin: none, sendReset: 'closed', recvReset: 'closed', linkLost: 'closed' }],
  ['closed', { sendFin: none, recvFin: none, sendReset: none, recvReset: none, linkLost: none }],
])('%s', (phase, expected) => {
  for (const [event, next] of Object.entries(expected))
    expect([event, nextPhase(phase, event as PhaseEvent)]).toEqual([event, next]);
});

test('every sequence ends where a stream can end, and closed is for good', () => {
  const events: PhaseEvent[] = ['sendFin', 'recvFin', 'sendReset', 'recvReset', 'linkLost'];
  const walk = (phase: StreamPhase, seen: readonly StreamPhase[]): void => {
    expect(seen).not.toContain(phase);
    for (const event of events) {
      const next = nextPhase(phase, event);
      if (next !== undefined) walk(next, [...seen, phase]);
      else expect(phase === 'closed' || seen.length > 0).toBe(true);
    }
  };
  walk('open', []);
});
