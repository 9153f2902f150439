// A session that is played: its board is kt's own, what happens on it is written here. For pictures of the docs, and for tests of the screen
// that need more developers and faults than a playground has. The times in it are from now, so that the screen counts as always.
import { Board } from '../../src/session/board.ts';
import type { ServiceLine, ServiceUser } from '../../src/session/overview.ts';
import type { InboundRecord, OutboundRecord, TrafficRecord } from '../../src/session/traffic/types.ts';

const MINUTE = 60_000;
const before = (ms: number): string => new Date(Date.now() - ms).toISOString();

const by = (user: string, more: Partial<ServiceUser> = {}): ServiceUser => ({
  user,
  host: `${user}-lap`,
  mark: null,
  since: before(7 * MINUTE),
  live: true,
  tool: 'kt',
  ...more,
});

function service(name: string, port: number, target: number | string, more: Partial<ServiceLine> = {}): ServiceLine {
  const ports = [{ port, name: 'http', protocol: 'TCP', targetPort: target }];
  return { name, type: 'ClusterIP', ports, ready: 2, originReady: null, state: 'normal', by: [], notes: [], ...more };
}

const SERVICES: readonly ServiceLine[] = [
  service('billing', 80, 8080, {
    state: 'meshed',
    originReady: 3,
    by: [by('mei', { mark: 'x-lane: mei' }), by('tom', { mark: 'x-lane: tom' })],
  }),
  service('cart', 80, 'http'),
  service('gateway', 80, 8080, { type: 'LoadBalancer', ready: 3 }),
  service('kafka', 9092, 9092, { type: 'Headless', ready: 3 }),
  service('orders', 80, 8080, { state: 'exchanged', originReady: 3, by: [by('anna')] }),
  service('payments', 443, 8443, {
    state: 'exchanged',
    originReady: 1,
    by: [by('leo', { live: false, since: before(47 * MINUTE) })],
  }),
  service('postgres', 5432, 5432, { type: 'Headless', ready: 1 }),
  service('quotes-mei', 8080, 8080, { state: 'previewing', ready: 1, by: [by('mei')] }),
  service('search', 80, 9200, { ready: 0 }),
  service('stock', 8080, 8080, {
    state: 'meshed',
    originReady: 2,
    by: [by('anna', { mark: 'VERSION: anna' }), by('leo', { mark: 'VERSION: leo' })],
  }),
];

/** Opens its board: a morning's work. */
export async function playSession(): Promise<Board> {
  const board = new Board(() => undefined);
  await board.listen();
  const place = { namespace: 'shop', context: 'staging' };
  const who = { as: 'dev', server: 'https://staging', user: 'anna', host: 'anna-lap', since: before(42 * MINUTE) };
  board.emit({ type: 'opening', session: board.id, ...place, ...who });
  board.emit({
    type: 'ready',
    ...place,
    proxy: '127.0.0.1:2223',
    dns: '127.0.0.1:10053',
    agent: 'kt-agent-anna',
    mode: 'agent',
    reduced: [],
  });
  board.emit({ type: 'link', state: 'up' });
  board.emit({ type: 'shim', runtime: 'jvm', version: '21.0.4', pid: 4802 });
  board.emit({ type: 'shim', runtime: 'node', version: '24.21.0', pid: 4711 });
  board.emit({ type: 'forwarding', local: '127.0.0.1:5432', remote: 'postgres:5432', protocol: 'TCP' });
  const port = { port: 80, local: 8080, protocol: 'TCP' } as const;
  board.emit({
    type: 'holding',
    service: 'orders',
    kind: 'exchange',
    mark: null,
    ports: [port],
    since: before(9 * MINUTE),
  });
  board.emit({
    type: 'holding',
    service: 'stock',
    kind: 'mesh',
    mark: 'VERSION: anna',
    ports: [{ ...port, port: 8080, local: 9000 }],
    since: before(3 * MINUTE),
  });
  answerForms(board);
  return board;
}

/** What only a screen is told; to be called when one looks. */
export function playNamespace(board: Board): void {
  board.emit({
    type: 'services',
    fresh: true,
    changed: SERVICES,
    gone: [],
    connected: [
      { ...by('anna'), pod: 'a', lastActive: null, tool: 'kt' },
      { ...by('mei'), pod: 'b', lastActive: null, tool: 'kt' },
    ],
    trouble: null,
  });
  board.emit({ type: 'traffic', records: RECORDS(), fresh: true, dropped: 0, limit: 2_000 });
  for (let at = 0; at < 24; at += 1)
    board.emit({
      type: 'pulse',
      apiMs: 9,
      agentMs: 11,
      received: 1.2e6 * (1 + Math.sin(at / 2)),
      sent: 84_000 * (1 + Math.cos(at / 3)),
      streams: 14,
      inbound: { orders: 12, stock: 0.4 },
    });
}

/** The line is lost; the original pods answer. */
export function playLoss(board: Board): void {
  board.emit({
    type: 'link',
    state: 'down',
    reason: 'the connection to the cluster went silent for 15 s',
    code: 'LINK_DEAD',
  });
  for (const [name, kind] of [
    ['orders', 'exchange'],
    ['stock', 'mesh'],
  ] as const)
    board.emit({ type: 'inbound', service: name, kind, state: 'down', reason: 'silent' });
}

function answerForms(board: Board): void {
  board.onAction('plan', ({ hold: { service: name, kind, ports } }) => ({
    service: name,
    kind,
    ports: ports.map(() => ({ port: 80, local: 8080, protocol: 'TCP' as const })),
    joins: false,
    steps: [
      { text: `create service/${name}-kt-origin (the original selector and ports)`, undo: '' },
      { text: `create deployment/${name}-kt-ingress (the agent, 1 pod) and wait until it is ready`, undo: '' },
      {
        text: `patch service/${name}: selector → kt/role=ingress,kt/service=${name}, annotation kt/journal (${kind})`,
        undo: '',
      },
    ],
    warnings: [],
  }));
  board.onAction('listening', ({ ports }) => ({ ports }));
  const body = { bytes: 61, kept: 61, type: 'application/json', encoding: 'utf8' as const };
  board.onAction('record', ({ id, reveal }) => ({
    detail: {
      record: RECORDS().find((record) => record.id === id) ?? RECORDS()[0] ?? failed(),
      request: {
        line: 'POST /api/orders HTTP/1.1',
        headers: [
          ['Host', 'orders'],
          ['Authorization', reveal ? 'Bearer eyJhbGciOi' : '•••'],
          ['Content-Type', 'application/json'],
          ['x-request-id', '7f3a'],
        ],
        masked: reveal ? [] : ['Authorization'],
        body: { ...body, text: '{"article":"A-7","count":2,"customer":"訂單 4711"}' },
      },
      response: {
        line: 'HTTP/1.1 500 Internal Server Error',
        headers: [['content-type', 'application/json']],
        masked: [],
        body: { ...body, text: '{"error":"no stock for A-7"}' },
      },
    },
  }));
}

const failed = (): never => {
  throw new Error('no records');
};

function inbound(id: number, more: Partial<InboundRecord>): InboundRecord {
  const counts = { received: 412, sent: 1_240, error: null, answerMs: 11, upgrade: null } as const;
  const http = { protocol: 'http/1.1', method: 'GET', path: '/api/orders/7', host: 'orders', status: 200 } as const;
  const where = {
    service: 'orders',
    caller: '10.8.1.17:40222',
    rule: '8080-TCP',
    reason: 'exchange: all requests',
    local: 8080,
  };
  return {
    id,
    time: before(9_000 - id * 700),
    state: 'done',
    ms: 14,
    direction: 'in',
    ...counts,
    ...http,
    ...where,
    ...more,
  };
}

function outbound(id: number, more: Partial<OutboundRecord>): OutboundRecord {
  const counts = { received: 310, sent: 96, error: null, code: null, openedMs: 3 } as const;
  const where = {
    by: { door: 'shim', runtime: 'jvm', pid: 4802 },
    host: 'stock',
    port: 8080,
    protocol: 'tcp',
  } as const;
  return {
    id,
    time: before(9_000 - id * 700),
    state: 'done',
    ms: 12,
    direction: 'out',
    via: 'cluster',
    reason: 'cluster name',
    ...counts,
    ...where,
    ...more,
  };
}

const RECORDS = (): TrafficRecord[] => [
  inbound(1, {}),
  outbound(2, {}),
  outbound(3, { host: 'postgres', port: 5432, state: 'open', ms: 84_000, received: 48_100 }),
  inbound(4, { path: '/api/orders?page=2&sort=date', ms: 31, sent: 18_400 }),
  inbound(5, {
    service: 'stock',
    reason: 'mesh: VERSION: anna',
    method: 'PUT',
    path: '/api/stock/A-7',
    status: 204,
    local: 9000,
    sent: 120,
  }),
  outbound(6, {
    host: 'repo.corp.example',
    port: 443,
    via: 'corporate',
    reason: 'HTTPS_PROXY',
    by: { door: 'proxy' },
    ms: 320,
    received: 84_200,
  }),
  outbound(7, {
    host: 'search',
    port: 80,
    state: 'failed',
    code: 'DIAL_REFUSED',
    error: 'search:80 refused the connection',
    by: { door: 'shim', runtime: 'node', pid: 4711 },
  }),
  inbound(8, { method: 'POST', path: '/api/orders', status: 500, ms: 38 }),
  inbound(9, { path: '/ws/prices', status: 101, upgrade: 'websocket', state: 'open', ms: 6_200, sent: 9_800 }),
  inbound(10, { path: '/api/orders/8', status: 404, ms: 6, sent: 210 }),
];
