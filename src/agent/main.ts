// The agent: runs in a pod of a stock Node image (>= 20), bundled to one file under 100 KB that travels in the pod's spec.
// Egress only for now: streams of the laptop → the cluster's network. It has no rights in the cluster and needs none.
// It ends by itself when no link was there for QUIET_LIMIT, so that nothing stays behind where the laptop died.
import { DirectDialer } from '../netstack/route/direct-dialer.ts';
import { LinkServer } from './link-server.ts';

declare const __KT_VERSION__: string;

/** Milliseconds without a link after which the agent ends (DESIGN §5). A laptop that sleeps longer gets a new agent when it wakes. */
const QUIET_LIMIT_MS = 120_000;
/** Milliseconds that open streams get after SIGTERM; the pod's grace period is a little longer. */
const DRAIN_LIMIT_MS = 8_000;

const log = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);

const tokenSha256 = process.env['KT_TOKEN_SHA256'] ?? '';
const port = Number(process.env['KT_LINK_PORT'] ?? '');
if (!/^[0-9a-f]{64}$/.test(tokenSha256) || !Number.isInteger(port)) {
  console.error('the agent needs KT_TOKEN_SHA256 and KT_LINK_PORT');
  process.exit(2);
}

const server = new LinkServer({
  port,
  tokenSha256,
  version: __KT_VERSION__,
  dialer: new DirectDialer({ names: 'search-list' }),
  log,
});

// One stream's surprise must not end everybody's: log it and go on. Memory and counts are bounded elsewhere.
process.on('uncaughtException', (error) => log(`defect: ${error.stack ?? error.message}`));
process.on('unhandledRejection', (reason) => log(`defect: ${reason instanceof Error ? reason.stack : String(reason)}`));

process.once('SIGTERM', () => {
  log('draining');
  server.drain();
  const end = performance.now() + DRAIN_LIMIT_MS;
  setInterval(() => {
    if (server.streamCount > 0 && performance.now() < end) return;
    server.close();
    process.exit(0);
  }, 100);
});

setInterval(() => {
  if (server.quietSince === undefined || performance.now() - server.quietSince < QUIET_LIMIT_MS) return;
  log('no link for 2 minutes: the laptop is gone');
  process.exit(0);
}, 5_000);

log(`kt agent ${__KT_VERSION__} on Node ${process.version}, link port ${await server.listen()}`);
