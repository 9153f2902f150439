// The overview from a scripted API: states, what may not be read, and that nothing but GET is asked. Agents that answer: test/e2e/birdseye.
import { describe, expect, test } from 'vitest';
import { encodeJournal } from '../../../src/cluster/takeover/journal.ts';
import { birdseye } from '../../../src/modes/birdseye/overview.ts';
import type { Overview } from '../../../src/session/overview.ts';
import { apiFor, startFakeApi, statusBody } from '../../cluster/support/fake-api.ts';

const journal = (kind: 'exchange' | 'mesh'): string =>
  encodeJournal({
    v: 1,
    kind,
    selector: { app: 'orders' },
    listens: [],
    linkPort: 7070,
    user: 'anna',
    host: 'pc',
    session: 's1',
    version: '1.0.0',
    at: '2026-01-01T00:00:00.000Z',
  });
const service = (name: string, metadata: object = {}, spec: object = {}): object => ({
  metadata: { name, ...metadata },
  spec: { type: 'ClusterIP', clusterIP: '10.0.0.1', ports: [{ port: 80, targetPort: 8080 }], ...spec },
});
const slice = (name: string, ...ready: (boolean | undefined)[]): object => ({
  metadata: { labels: { 'kubernetes.io/service-name': name } },
  endpoints: ready.map((one, index) => ({ addresses: [`10.1.0.${index}`], conditions: { ready: one } })),
});

const SERVICES = [
  service('free'),
  service('db', {}, { clusterIP: 'None' }),
  service('partner', {}, { type: 'ExternalName', clusterIP: undefined, ports: undefined }),
  service('orders', { annotations: { 'kt/journal': journal('exchange') } }),
  service('odd', { annotations: { 'kt/journal': '{"v":9}' } }),
  service('orders-kt-origin', { labels: { 'kt/role': 'origin', 'kt/service': 'orders' } }),
  service('new', { labels: { 'kt/role': 'preview' }, annotations: { 'kt/user': 'ben', 'kt/host': 'mac' } }),
  service('gone', { annotations: { 'kt-selector': '{"app":"gone"}' } }),
  service('gone-kt-stuntman', { labels: { 'control-by': 'kt' } }),
];
const EGRESS = {
  metadata: {
    name: 'kt-agent-anna-1',
    creationTimestamp: '2026-01-01T00:00:00Z',
    annotations: { 'kt/user': 'anna', 'kt/host': 'pc' },
  },
  status: { phase: 'Running' },
};
const ENDED = { metadata: { name: 'kt-agent-anna-0' }, status: { phase: 'Succeeded' } };

async function look(forbidden: RegExp = /^$/): Promise<{ overview: Overview; asked: string[] }> {
  const asked: string[] = [];
  const server = await startFakeApi((request, response) => {
    const url = new URL(request.url ?? '', 'http://api');
    const kind = url.pathname.split('/').at(-1) ?? '';
    asked.push(`${request.method} ${kind}`);
    if (forbidden.test(kind)) {
      response.writeHead(403).end(statusBody(403, 'Forbidden', `may not list ${kind}`));
      return;
    }
    const selector = url.searchParams.get('labelSelector') ?? '';
    const items: Record<string, object[]> = {
      services: SERVICES,
      endpointslices: [
        slice('free', true, false, undefined),
        slice('free', true),
        slice('orders', true),
        slice('orders-kt-origin', true, true),
      ],
      pods: selector === 'kt/role=egress' ? [EGRESS, ENDED] : [],
    };
    response.end(JSON.stringify({ items: items[kind] ?? [] }));
  });
  const overview = await birdseye(apiFor(server.url), 'shop', '1.0.0', new AbortController().signal);
  return { overview, asked };
}

const line = ({ services }: Overview, name: string) => services.find((one) => one.name === name);

describe('overview', () => {
  test('every Service with its state; helpers are left out; only GET is asked', async () => {
    const { overview, asked } = await look();
    expect(asked.every((one) => one.startsWith('GET '))).toBe(true);
    expect(overview.services.map(({ name, type, ready, state }) => `${name} ${type} ${ready} ${state}`)).toEqual([
      // Two slices may name one address; unknown counts as ready.
      'free ClusterIP 2 normal',
      'db Headless 0 normal',
      'partner ExternalName null normal',
      'orders ClusterIP 1 exchanged',
      'odd ClusterIP 0 exchanged',
      'new ClusterIP 0 previewing',
      'gone ClusterIP 0 exchanged',
    ]);
    expect(line(overview, 'new')?.by).toMatchObject([{ user: 'ben', host: 'mac', tool: 'kt' }]);
    expect(line(overview, 'odd')?.notes).toEqual(['its journal is of a newer kt and can not be read']);
    expect(overview.connected).toEqual([
      {
        user: 'anna',
        host: 'pc',
        pod: 'kt-agent-anna-1',
        since: '2026-01-01T00:00:00Z',
        lastActive: null,
        tool: 'kt',
      },
    ]);
  });

  test('an agent that is not there: the journal is shown, and said to be it', async () => {
    const { overview } = await look();
    expect(line(overview, 'orders')).toMatchObject({
      originReady: 2,
      by: [{ user: 'anna', host: 'pc', mark: null, since: '2026-01-01T00:00:00.000Z', live: null, tool: 'kt' }],
      notes: [
        "as its journal says who began it; others may be on it: the agent can't be asked (the agent of orders is not ready)",
      ],
    });
  });

  test('without the right to list pods and endpoints the rest is shown', async () => {
    const { overview } = await look(/^(pods|endpointslices)$/);
    expect(overview.connected).toBeNull();
    expect(line(overview, 'free')).toMatchObject({ ready: null, state: 'normal' });
    expect(line(overview, 'gone')?.notes).toEqual(['pods may not be listed: who it is is not known']);
  });

  test('without the right to list Services there is nothing to show', async () => {
    await expect(look(/^services$/)).rejects.toMatchObject({ code: 'RIGHTS_MISSING' });
  });
});
