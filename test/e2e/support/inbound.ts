// What the tests of exchange and mesh need of the cluster: a Service of their own, callers inside of the cluster that never stop, and a local
// service on the laptop. Used by test/e2e/{exchange,mesh,fail-open,crash-steps}.test.ts and others.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { execute, kubectl } from './kt.ts';

const KUBECONFIGS = process.env['KT_E2E_KUBECONFIGS'] ?? '/var/lib/kcluster/kubeconfigs';
/** Milliseconds for something that should happen soon. */
const LIMIT_MS = 30_000;

export const TCP_PORT = 9000;
const SERVER = `const h=require('http');const s=h.createServer((q,r)=>{let n=0;q.on('data',c=>n+=c.length);q.on('end',()=>r.end(JSON.stringify({name:'pod',url:q.url,headers:q.headers,bytes:n})))});s.keepAliveTimeout=60000;s.listen(8080)`;

/** What the pods of a test's Service run, where it is not the usual program that ends at once. */
export interface ShopProgram {
  readonly script: string;
  readonly graceSeconds: number;
  /** Besides 80 and 8081. */
  readonly ports?: readonly { readonly name: string; readonly port: number; readonly targetPort: number }[];
}

/** The usual program, and on TCP_PORT a line that comes back behind the name. */
export const WITH_TCP: ShopProgram = {
  script: `${SERVER};require('net').createServer(s=>{let t='';s.on('error',()=>{}).on('data',c=>{t+=c;if(t.includes('\\n'))s.end('pod '+t)})}).listen(${TCP_PORT})`,
  graceSeconds: 0,
  ports: [{ name: 'tcp', port: TCP_PORT, targetPort: TCP_PORT }],
};

/** A Deployment of two pods and its Service `name` (80 → http, 8081 → 8080). */
export async function deployShop(
  name: string,
  namespace = 'shop',
  { script, graceSeconds, ports = [] }: ShopProgram = { script: SERVER, graceSeconds: 0 },
): Promise<void> {
  const labels = { app: name, tier: 'test' };
  const container = {
    name: 'app',
    image: 'node:24-slim',
    command: ['node', '-e', script],
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
    resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { cpu: '1', memory: '128Mi' } },
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  };
  const spec = {
    terminationGracePeriodSeconds: graceSeconds,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [container],
  };
  const items = [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace },
      spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, annotations: { 'team/owner': 'tests' } },
      spec: {
        selector: labels,
        ports: [{ name: 'web', port: 80, targetPort: 'http' }, { name: 'alt', port: 8081, targetPort: 8080 }, ...ports],
      },
    },
  ];
  await kubectl(['create', '-f', '-'], 'dev', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await kubectl(['-n', namespace, 'rollout', 'status', `deployment/${name}`, '--timeout=60s']);
}

export async function removeShop(name: string, namespace = 'shop'): Promise<void> {
  await kubectl(['-n', namespace, 'delete', 'deployment,service', name, '--ignore-not-found', '--now']);
}

/** The Service as it must be again: everything but what the API server counts. */
export async function snapshot(name: string, namespace = 'shop'): Promise<unknown> {
  const service = JSON.parse(await kubectl(['-n', namespace, 'get', 'service', name, '-o', 'json'])) as {
    metadata: Record<string, unknown>;
  };
  const { resourceVersion: _, generation: __, managedFields: ___, ...metadata } = service.metadata;
  return { ...service, metadata };
}

/** What is left of kt for a Service. */
export async function leftovers(name: string, namespace = 'shop'): Promise<string> {
  return kubectl(['-n', namespace, 'get', 'service,deployment,pod', '-l', `kt/service=${name}`, '-o', 'name']);
}

/** A Service of a test's own in `shop`, and the proof that kt left it as it was. */
export class TestShop {
  readonly name: string;
  readonly #before: unknown;

  private constructor(name: string, before: unknown) {
    this.name = name;
    this.#before = before;
  }

  static async deploy(name: string, program?: ShopProgram): Promise<TestShop> {
    await removeShop(name);
    await deployShop(name, 'shop', program);
    // Ready pods are one thing, rules of kube-proxy that lead to them another: callers that count failures start when both are there.
    await vi.waitFor(async () => expect((await askFromPod(`http://${name}/`))['error'] ?? '').toBe(''), {
      timeout: LIMIT_MS,
      interval: 200,
    });
    return new TestShop(name, await snapshot(name));
  }

  async expectUntouched(): Promise<void> {
    expect(await snapshot(this.name)).toEqual(this.#before);
    expect(await leftovers(this.name)).toBe('');
  }
}

/** A local service on the laptop that says its name. */
export async function localApp(name: string, port = 0): Promise<Server & { port: number }> {
  const server = createServer((incoming, response) => {
    incoming.resume();
    incoming.on('end', () => response.end(JSON.stringify({ name, url: incoming.url, headers: incoming.headers })));
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}

/** Its counterpart for WITH_TCP. */
export async function localTcpApp(name: string, port = 0): Promise<LocalTcpApp> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) socket.end(`${name} ${text}`);
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port: (server.address() as AddressInfo).port, close };
}

export interface LocalTcpApp {
  readonly port: number;
  readonly close: () => Promise<void>;
}

export async function closeApp(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

async function gatewayPod(): Promise<string> {
  return (await kubectl(['get', 'pods', '-l', 'app=gateway', '-o', 'jsonpath={.items[0].metadata.name}'])).trim();
}

/** Runs a Node script in the gateway's pod, as dev. */
export async function runInPod(script: string): Promise<{ stdout: string; stderr: string }> {
  const config = join(KUBECONFIGS, 'dev');
  const command = ['--kubeconfig', config, 'exec', await gatewayPod(), '--', 'node', '-e', script];
  return execute('kubectl', command, { timeoutMs: 60_000 });
}

/** One request from a pod; the answer's JSON, or the error's code. */
export async function askFromPod(url: string, headers: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const done = await runInPod(
    `fetch(${JSON.stringify(url)},{headers:${JSON.stringify(headers)},signal:AbortSignal.timeout(8000)}).then(r=>r.text()).then(t=>console.log(t)).catch(e=>console.log(JSON.stringify({error:String(e.cause?.code??e.name)})))`,
  );
  try {
    return JSON.parse(done.stdout) as Record<string, unknown>;
  } catch {
    return { text: done.stdout, error: done.stderr };
  }
}

/**
 * Asks until the answer has these fields. Kube-proxy learns of a switch a moment after kt has made it, the later the busier the machine:
 * who answers is asked with patience, whether any request fails meanwhile is counted by Callers.
 */
export async function untilAnswer(
  url: string,
  fields: Record<string, unknown>,
  headers: Record<string, string> = {},
): Promise<void> {
  await expect.poll(() => askFromPod(url, headers), { timeout: LIMIT_MS, interval: 200 }).toMatchObject(fields);
}

/**
 * new: a connection for each request. kept: a pool of one. idle: the same, with a request now and then. raw: a socket without a client.
 * tcp: not HTTP, a connection for each line.
 */
export type CallerKind = 'new' | 'kept' | 'idle' | 'raw' | 'tcp' | 'h2';

export interface CallerOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly kinds?: readonly CallerKind[];
  /** Port for HTTP/2 callers. */
  readonly h2Port?: number;
  /** Port for callers that do not speak HTTP. */
  readonly tcpPort?: number;
  /** Milliseconds after which a request has failed. */
  readonly timeoutMs?: number;
}

/**
 * Callers in a pod that ask every 25 ms until stopped, one on new connections, one on kept-alive ones, others where they are asked for.
 * Each answer is a line `new laptop` or `kept !ECONNRESET`.
 */
export class Callers {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #kinds: readonly CallerKind[];
  readonly #waiting = new Set<() => void>();

  private constructor(child: ChildProcess, kinds: readonly CallerKind[]) {
    this.#child = child;
    this.#kinds = kinds;
    let held = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      held += text;
      const lines = held.split('\n');
      held = lines.pop() ?? '';
      this.lines.push(...lines);
      for (const look of this.#waiting) look();
    });
    child.stderr?.resume();
  }

  static async start(
    url: string,
    { headers = {}, kinds = ['new', 'kept'], h2Port = 0, tcpPort = 0, timeoutMs = 8_000 }: CallerOptions = {},
  ): Promise<Callers> {
    const given = `const URL_=${JSON.stringify(url)},HEADERS=${JSON.stringify(headers)},KINDS=${JSON.stringify(kinds)},H2=${h2Port},TCP=${tcpPort},TIMEOUT_MS=${timeoutMs};`;
    const script = given + readFileSync(new URL('callers.cjs', import.meta.url), 'utf8');
    const child = spawn(
      'kubectl',
      ['--kubeconfig', join(KUBECONFIGS, 'dev'), 'exec', '-i', await gatewayPod(), '--', 'node', '-e', script],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    const callers = new Callers(child, kinds);
    await callers.seen(
      (lines) => kinds.every((kind) => lines.some((line) => line.startsWith(`${kind} `))),
      'the first answers',
    );
    return callers;
  }

  /** Waits until `fits` holds of the lines from `from` on. */
  async seen(fits: (lines: readonly string[]) => boolean, what: string, from = 0): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = (): void => {
        if (!fits(this.lines.slice(from))) return;
        done();
        resolve();
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`not seen: ${what}; the last answers: ${this.lines.slice(-10).join(', ')}`));
      }, LIMIT_MS);
      this.#waiting.add(look);
      look();
    });
  }

  /** Waits until all callers, or those of `kinds`, were answered by `name` some times in a row. */
  async answeredBy(name: string, from = this.lines.length, kinds = this.#kinds): Promise<void> {
    const by = (lines: readonly string[]) => (kind: CallerKind) => {
      const count = kind === 'idle' ? 2 : 5;
      const last = lines.filter((line) => line.startsWith(`${kind} `)).slice(-count);
      return last.length === count && last.every((line) => line === `${kind} ${name}`);
    };
    await this.seen((lines) => kinds.every(by(lines)), `answers of ${name}`, from);
  }

  /** Failed requests from `from` on. */
  failures(from = 0): string[] {
    return this.lines.slice(from).filter((line) => line.includes('!'));
  }

  /** How many answered, and who. */
  counts(from = 0): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const line of this.lines.slice(from)) counts[line] = (counts[line] ?? 0) + 1;
    return counts;
  }

  async stop(): Promise<void> {
    this.#child.stdin?.end();
    const limit = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await new Promise((resolve) => this.#child.once('close', resolve));
    clearTimeout(limit);
  }
}
