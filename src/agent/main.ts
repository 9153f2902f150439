// The agent: runs in a pod of a stock Node image (>= 20), bundled to one file under 100 KB that travels in the pod's spec.
// Egress (streams of the laptop → the cluster's network), or with KT_INGRESS an ingress agent (a taken Service's traffic → laptops or origin).
// It has no rights in the cluster and needs none. An egress agent ends by itself when no link was there for QUIET_LIMIT, so that nothing stays
// behind where the laptop died; with KT_SHARED it is a platform team's, and stays. An ingress agent goes on, as the way to the original pods, until it is removed.
import { createServer } from 'node:http';
import { KtError } from '../errors.ts';
import { parseIngressConfig } from '../netstack/link/ingress-config.codec.ts';
import { DirectDialer } from '../netstack/route/direct-dialer.ts';
import { openIngress } from './ingress/listeners.ts';
import { Registry } from './ingress/registry.machine.ts';
import { IngressSessions } from './ingress/sessions.ts';
import { LinkServer } from './link-server.ts';
import { listenForProxy } from './proxy-port.ts';

declare const __KT_VERSION__: string;

/** Milliseconds without a link after which the egress agent ends (DESIGN §5). A laptop that sleeps longer gets a new agent when it wakes. */
const QUIET_LIMIT_MS = 120_000;
/** Milliseconds that open streams get after SIGTERM; the pod's grace period is a little longer. */
const DRAIN_LIMIT_MS = 8_000;
/** The same for callers of a taken Service, who know nothing of kt. */
const INGRESS_DRAIN_LIMIT_MS = 25_000;
/** Milliseconds after SIGTERM in which callers still come: kube-proxy hears of the end within its sync period of 1 s, others later. */
const LAG_MS = 3_000;
/** The same for a Service that was given back: whoever gave it back has waited for kube-proxy already; one on a busy node takes longer. */
const RETIRED_LAG_MS = 1_000;

const log = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);

// One stream's surprise must not end everybody's: log it and go on. Memory and counts are bounded elsewhere.
process.on('uncaughtException', (error) => log(`defect: ${error.stack ?? error.message}`));
process.on('unhandledRejection', (reason) => log(`defect: ${reason instanceof Error ? reason.stack : String(reason)}`));

const ingress = process.env['KT_INGRESS'];
const port = Number(process.env['KT_LINK_PORT'] ?? '');
try {
  if (!Number.isInteger(port)) throw new KtError('USAGE', 'KT_LINK_PORT is no port');
  await (ingress === undefined ? egressAgent() : ingressAgent(ingress));
} catch (error) {
  console.error(`the agent can't start: ${(error as Error).message}`);
  process.exit(2);
}

async function egressAgent(): Promise<void> {
  const shared = process.env['KT_SHARED'] === '1';
  const tokenSha256 = shared ? undefined : (process.env['KT_TOKEN_SHA256'] ?? '');
  if (tokenSha256 !== undefined && !/^[0-9a-f]{64}$/.test(tokenSha256))
    throw new KtError('USAGE', 'KT_TOKEN_SHA256 is no digest');
  const dialer = new DirectDialer({ names: 'search-list' });
  const server = new LinkServer({ port, tokenSha256, shared, version: __KT_VERSION__, dialer, log });
  const proxyPort = Number(process.env['KT_PROXY_PORT'] ?? 0);
  if (proxyPort > 0) await listenForProxy(proxyPort, (socket) => server.accept(socket), log);
  process.once('SIGTERM', () => {
    log('draining');
    server.drain();
    endWhen(() => server.streamCount === 0, DRAIN_LIMIT_MS);
  });
  setInterval(() => {
    if (shared || server.quietSince === undefined || performance.now() - server.quietSince < QUIET_LIMIT_MS) return;
    log('no link for 2 minutes: the laptop is gone');
    process.exit(0);
  }, 5_000);
  log(`kt agent ${__KT_VERSION__} on Node ${process.version}, link port ${await server.listen()}`);
}

async function ingressAgent(text: string): Promise<void> {
  const config = parseIngressConfig(text);
  let draining = false;
  let lagMs = LAG_MS;
  const listens = (port: number, protocol: string): boolean =>
    config.listeners.some((listener) => listener.port === port && listener.protocol === protocol);
  const sessions = new IngressSessions(new Registry(() => performance.now(), listens), () => {
    log('given back');
    draining = true;
    lagMs = RETIRED_LAG_MS;
    listeners.drain();
  });
  const dialer = new DirectDialer();
  const links = new LinkServer({
    port,
    tokenSha256: undefined,
    ingress: sessions,
    version: __KT_VERSION__,
    dialer,
    log,
  });
  const { registry, of } = sessions;
  const listeners = await openIngress({ config, registry, links: of, draining: () => draining, log });
  await links.listen();
  const ready = (): boolean => !draining && (config.standby !== true || registry.live());
  await listenHealth(config.healthPort, ready);
  process.once('SIGTERM', () => {
    log('draining');
    draining = true;
    // At once: the laptops move to the new pod while callers still come here.
    links.drain();
    listeners.drain();
    setTimeout(() => {
      listeners.stop();
      endWhen(() => listeners.connections() === 0, INGRESS_DRAIN_LIMIT_MS - lagMs);
    }, lagMs);
  });
  const ports = config.listeners.map((listener) => `${listener.port}/${listener.protocol}`).join(' ');
  log(`kt ingress agent ${__KT_VERSION__} of ${config.service} on Node ${process.version}: ${ports}`);
}

/** What the probes ask: 200 where callers may come; /started as soon as it runs. */
function listenHealth(healthPort: number, ready: () => boolean): Promise<void> {
  const health = createServer(({ url }, response) =>
    response.writeHead(url === '/started' || ready() ? 200 : 503).end(),
  );
  return new Promise((resolve, reject) => {
    health.once('error', reject);
    health.listen(healthPort, resolve);
  });
}

function endWhen(done: () => boolean, limitMs: number): void {
  const end = performance.now() + limitMs;
  setInterval(() => {
    if (done() || performance.now() > end) process.exit(0);
  }, 100);
}
