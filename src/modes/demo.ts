// The mode `demo`: starts the playground cluster, opens a session into it, runs ordinary programs under `kt run`'s environment, and lets one
// of them take a Service's place (demo-inbound.ts).
// What it shows is kt's own code on an embedded cluster, not Kubernetes. Called by cli/commands/demo.ts.
import { spawnSync } from 'node:child_process';
import { asset } from '../assets.ts';
import { startPlayground } from '../playground/start.ts';
import type { EventSink } from '../session/events.ts';
import { Session } from '../session/session.ts';
import { type LocalOrders, showInbound, startOrders } from './demo-inbound.ts';
import { runCommand } from './run.ts';

/** Milliseconds for `java -version`. */
const JAVA_MS = 10_000;

export interface DemoOptions {
  readonly version: string;
  readonly emit: EventSink;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  /** Resolves when the user wants to end; undefined = end after the answers. */
  readonly until: Promise<unknown> | undefined;
}

/** Resolves with the exit code: 0 when every program got its answers. */
export async function demo(options: DemoOptions): Promise<number> {
  const { say, signal } = options;
  say('A cluster on this machine: gateway → orders → stock → vault, and db (raw TCP). No Kubernetes is needed.');
  const playground = await startPlayground();
  let session: Session | undefined;
  let local: LocalOrders | undefined;
  try {
    const port = options.until ? {} : { proxyPort: 0, dnsPort: 0 };
    const settings = {
      kubeconfig: playground.kubeconfig,
      namespace: playground.namespace,
      ...port,
      includeIps: [],
      excludeIps: [],
      alsoProxy: [],
    };
    const rest = {
      clusterDomain: 'cluster.local',
      mode: 'auto',
      startLimitMs: 30_000,
      parkMs: 10_000,
      shared: true,
    } as const;
    say('\n$ kt connect');
    session = await Session.open({ version: options.version, ...settings, ...rest }, options.emit, signal);
    const { join } = session;
    say(`  connected to ${join.namespace}: proxy ${join.proxy} (SOCKS5 and HTTP), dns ${join.dns}`);
    let failed = 0;
    for (const [title, command] of programs()) {
      say(`\n$ kt run -- ${title}`);
      const code = await runCommand(command, join, () => undefined);
      if (code !== 0) failed += 1;
      if (code !== 0) say(`  ended with exit code ${code}`);
    }
    if (!java()) say('\n(no JDK found: the Java program is left out)');
    const inbound = { ...options, kubeconfig: playground.kubeconfig, join };
    say('\n$ kt run -- node orders.mjs &      # your own orders, on this laptop');
    local = await startOrders(inbound);
    say(`  listens on localhost:${local.port}`);
    failed += await showInbound(inbound, local);
    say(
      failed === 0
        ? '\nAll answers are right, and orders is as it was.'
        : `\n${failed} answers are not as they should be.`,
    );
    if (options.until) {
      say(`\nTry it by hand, in another terminal:`);
      say(`  export KUBECONFIG=${playground.kubeconfig}`);
      say(`  curl -x socks5h://${join.proxy} http://gateway/`);
      say(`  kt run -- node -e "fetch('http://orders').then(r => r.text()).then(console.log)"`);
      say(`  kt exchange orders --expose ${local.port}:80      # Ctrl-C gives it back`);
      say(`  kt mesh stock --expose ${local.port}:8080 --versionMark anna --context ana`);
      say(`  kt birdseye; kt status; kt route orders; kubectl get pods`);
      say(`Ctrl-C ends it.`);
      await Promise.race([options.until, session.ended]);
    }
    return failed === 0 ? 0 : 1;
  } finally {
    await local?.stop();
    await session?.close('the demo ended');
    await playground.close();
  }
}

function programs(): [title: string, command: string[]][] {
  const node: [string, string[]] = ['node hello.mjs', [process.execPath, asset('demo/hello.mjs')]];
  const found = java();
  return found ? [node, [`java Hello.java   (JDK ${found})`, ['java', asset('demo/Hello.java')]]] : [node];
}

/** The major version of the JDK on PATH, if it can run a source file (JEP 330: 11 and newer). */
function java(): string | undefined {
  const found = spawnSync('java', ['-version'], { encoding: 'utf8', timeout: JAVA_MS });
  const compiler = spawnSync('javac', ['-version'], { encoding: 'utf8', timeout: JAVA_MS });
  const major = /version "(\d+)/.exec(found.stderr ?? '')?.[1];
  return compiler.status === 0 && major !== undefined && Number(major) >= 11 ? major : undefined;
}
