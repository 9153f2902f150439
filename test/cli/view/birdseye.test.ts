import { expect, test } from 'vitest';
import { arrange, birdseyeLines } from '../../../src/cli/view/birdseye.ts';
import type { Overview, ServiceLine } from '../../../src/session/overview.ts';

const NOW = Date.parse('2026-01-01T03:00:00Z');
const service = (name: string, more: Partial<ServiceLine> = {}): ServiceLine => ({
  name,
  type: 'ClusterIP',
  ports: [{ port: 80, name: 'http', protocol: 'TCP', targetPort: 8080 }],
  ready: 2,
  originReady: null,
  state: 'normal',
  by: [],
  notes: [],
  ...more,
});
const kt = { host: 'pc', live: true, tool: 'kt' } as const;
const OVERVIEW: Overview = {
  namespace: 'shop',
  services: [
    service('cache', { ports: [{ port: 53, name: null, protocol: 'UDP', targetPort: 53 }], ready: null }),
    service('stock', {
      state: 'meshed',
      ready: 1,
      originReady: 2,
      by: [
        { ...kt, user: 'anna', mark: 'VERSION: anna', since: '2026-01-01T02:59:30Z' },
        { ...kt, user: 'ben', mark: 'VERSION: ben', since: '2026-01-01T02:30:00Z', live: false },
      ],
    }),
    service('orders', {
      state: 'exchanged',
      by: [{ user: 'cleo', host: null, mark: null, since: null, live: null, tool: 'kt-connect' }],
      notes: ['left over'],
    }),
    service('abc', { type: 'ExternalName', ports: [], ready: null }),
  ],
  connected: [
    {
      user: 'anna',
      host: 'pc',
      pod: 'kt-agent-anna-1',
      since: '2026-01-01T01:00:00Z',
      lastActive: null,
      tool: 'kt',
    },
    {
      user: 'cleo',
      host: null,
      pod: 'kt-connect-x',
      since: '2025-12-29T03:00:00Z',
      // A clock that is ahead.
      lastActive: '2026-01-01T03:00:40Z',
      tool: 'kt-connect',
    },
  ],
};
const ALL = { sortBy: 'status', showConnector: true, hideNatural: false } as const;

test('taken Services first, who has them and for how long, what else there is to know, who is connected', () => {
  expect(birdseyeLines(OVERVIEW, ALL, NOW).map((line) => line.trimEnd())).toEqual([
    'shop: 4 Services, 2 taken',
    '  SERVICE  TYPE          PORTS         READY           STATE',
    '  orders   ClusterIP     http 80→8080  2               exchanged by cleo (kt-connect)',
    '    ! left over',
    '  stock    ClusterIP     http 80→8080  1 (original 2)  meshed by anna@pc (VERSION: anna, for 30 s), ben@pc (VERSION: ben, for 30 min, laptop not there)',
    '  abc      ExternalName                -               normal',
    '  cache    ClusterIP     53/udp        ?               normal',
    'Connected: 2',
    '  anna@pc for 2 h  (kt-agent-anna-1)',
    '  cleo for 3 d, last active 0 s ago  (kt-connect-x, kt-connect)',
  ]);
});

test("kt-connect's options: by name, without connectors, taken ones only", () => {
  const names = (options: object): string[] =>
    arrange(OVERVIEW, { ...ALL, ...options }).services.map(({ name }) => name);
  expect(names({ sortBy: 'name' })).toEqual(['abc', 'cache', 'orders', 'stock']);
  expect(names({ hideNatural: true })).toEqual(['orders', 'stock']);
  expect(arrange(OVERVIEW, { ...ALL, showConnector: false }).connected).toEqual([]);
  expect(birdseyeLines(OVERVIEW, { ...ALL, showConnector: false }, NOW).join('\n')).not.toContain('Connected');
});

test('nobody, and nothing that may be known', () => {
  expect(birdseyeLines({ namespace: 'shop', services: [], connected: [] }, ALL, NOW)).toEqual([
    'shop: 0 Services, 0 taken',
    'Connected: nobody',
  ]);
  expect(birdseyeLines({ namespace: 'shop', services: [], connected: null }, ALL, NOW)).toEqual([
    'shop: 0 Services, 0 taken',
    'Connected: not known, pods may not be listed',
  ]);
});
