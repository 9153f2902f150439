// The traffic of a session as a view in another process reads it, over the session's port. Called by the screen's command.
import type { SessionPort } from '../port.ts';
import type { TrafficSource } from './types.ts';

export function trafficOf(port: Pick<SessionPort, 'subscribe' | 'act'>): TrafficSource {
  return {
    subscribe: (send) =>
      port.subscribe((event) => {
        if (event.type === 'traffic') send(event);
      }),
    detail: async (id, reveal = false) => (await port.act({ kind: 'record', id, reveal })).detail ?? undefined,
    replay: (id) => port.act({ kind: 'replay', id }),
    clear: async () => {
      await port.act({ kind: 'clear' });
    },
  };
}
