// What every test of a shim needs: a pretend cluster on loopback, a broker in front of it, and the environment that `kt run` would give
// to a program. The folder of the shims has a space in its name, as a user's home may have.
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { KtError } from '../../src/errors.ts';
import { runEnvironment } from '../../src/modes/run-env.ts';
import { type Broker, startBroker } from '../../src/netstack/broker/server.ts';
import { writeSessionFile } from '../../src/session/session-file.ts';
import { nameServer, type Zone } from './name-server.ts';
import { NameTableDialer, TableRouter } from './name-table-dialer.ts';
import { deadPort, echoServer, httpServer, type Peer } from './peers.ts';

/** Virtual addresses: this machine has no way to them, so what a shim misses fails. */
export const CIDRS = ['198.18.0.0/24', '198.19.0.0/16', 'fd00:19::/64'] as const;
export const ORDERS = '198.19.12.34';
export const POD = '198.18.0.7';
export const ORDERS_6 = 'fd00:19::34';
export const REFUSED_6 = 'fd00:19::99';
export const REFUSED = '198.19.12.99';
export const SILENT = '198.19.12.98';
/** An address that only its name makes known. */
export const OUTSIDE = '203.0.113.7';

export interface ShimWorld {
  readonly dialer: NameTableDialer;
  readonly router: TableRouter;
  /** The one that answers now. */
  readonly broker: Broker;
  /** kt is killed: nobody answers, and the session file stays. */
  kill(): Promise<void>;
  /** Another kt for the same namespace, with another port and token. */
  restart(): Promise<void>;
  /** Programs that said HELLO. */
  readonly programs: { runtime: string; version: string; pid: number }[];
  /** A loopback HTTP server that is not the cluster's. */
  readonly publicPort: number;
  readonly shims: string;
  /** The environment of a program under `kt run`, with what the check programs need to know. */
  environment(base?: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
  /** The same program's environment without kt. */
  bare(): NodeJS.ProcessEnv;
  stop(): Promise<void>;
}

export interface MoreServices {
  readonly names?: Record<string, readonly string[]>;
  /** `address:port` → loopback port. */
  readonly ports?: Record<string, number>;
  readonly zone?: Zone;
}

/** `more`: services beside those that every test has. */
export async function shimWorld(more: MoreServices = {}): Promise<ShimWorld> {
  const peers: Peer[] = [];
  const started = async (peer: Promise<Peer>): Promise<number> => {
    peers.push(await peer);
    return (await peer).port;
  };
  const shop = await started(
    httpServer((request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ service: 'orders', path: request.url, host: request.headers.host }));
    }),
  );
  const echo = await started(echoServer());
  const publicPort = await started(httpServer((_, response) => response.end('outside')));
  const dialer = new NameTableDialer({
    names: {
      ...more.names,
      orders: [ORDERS],
      six: [ORDERS_6],
      both: [ORDERS, ORDERS_6],
      'orders-0.orders': [POD],
      refused: [REFUSED],
      silent: [SILENT],
      outside: [OUTSIDE],
    },
    ports: {
      ...more.ports,
      [`${ORDERS}:80`]: shop,
      [`${ORDERS}:7000`]: echo,
      [`${POD}:8080`]: shop,
      [`${ORDERS_6}:80`]: shop,
      [`${OUTSIDE}:80`]: shop,
      [`${ORDERS}:81`]: await deadPort(),
    },
    failures: {
      [REFUSED_6]: new KtError('DIAL_REFUSED', 'nobody listens there'),
      [REFUSED]: new KtError('DIAL_REFUSED', 'nobody listens there'),
    },
    silent: [SILENT],
  });
  // kt's DNS for shims: the record types that the broker does not have.
  const dns = await nameServer({
    ...more.zone,
    '_db._tcp.orders.shop.svc': { SRV: [{ priority: 1, weight: 2, port: 5432, target: 'orders-0.orders.shop.svc' }] },
    'orders.shop.svc': { TXT: 'version=1' },
    'alias.shop.svc': { CNAME: 'orders.shop.svc' },
    '7.0.18.198.in-addr.arpa': { PTR: 'orders-0.orders.shop.svc' },
  });
  const router = new TableRouter(dialer, CIDRS);
  const programs: ShimWorld['programs'] = [];
  const folder = mkdtempSync(join(tmpdir(), 'kt shims '));
  const sessionFile = join(folder, 'test.session');
  const open = async (): Promise<Broker> => {
    const started = await startBroker({ dialer, router, onProgram: (program) => programs.push(program) });
    writeSessionFile(sessionFile, { broker: started, cidrs: CIDRS, suffixes: [], dns: dns.address }, true);
    return started;
  };
  let broker = await open();
  const shims = installShims(folder);
  const { PATH, HOME } = process.env;
  const bare = { PATH, HOME, ORDERS, POD, REFUSED, SILENT, PUBLIC_PORT: String(publicPort) };
  return {
    dialer,
    router,
    get broker() {
      return broker;
    },
    kill: () => broker.close(),
    restart: async () => {
      broker = await open();
    },
    programs,
    publicPort,
    shims,
    bare: () => bare,
    environment: (base = {}) => {
      const inherited = { ...bare, ...base };
      const { set } = runEnvironment({
        base: inherited,
        broker,
        cidrs: CIDRS,
        suffixes: [],
        dns: dns.address,
        shimsDirectory: shims,
        sessionId: 'test',
        sessionFile,
        hostname: hostname(),
      });
      return { ...inherited, ...set };
    },
    stop: async () => {
      await broker.close();
      await dns.stop();
      await Promise.all(peers.map((peer) => peer.stop()));
      rmSync(folder, { recursive: true });
    },
  };
}

/** The layout that the build makes in dist/shims. */
function installShims(folder: string): string {
  mkdirSync(join(folder, 'python'));
  for (const [from, to] of [
    ['jvm/kt-jvm.jar', 'kt-jvm.jar'],
    ['node/kt-node.cjs', 'kt-node.cjs'],
    ['node/kt-node-broker.cjs', 'kt-node-broker.cjs'],
    ['python/sitecustomize.py', 'python/sitecustomize.py'],
  ] as const) {
    copyFileSync(join('shims', from), join(folder, to));
  }
  return folder;
}
