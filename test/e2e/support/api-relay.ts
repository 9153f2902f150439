// The cluster's API server behind a relay in the test's process that sees each request by itself: a test does something between a write's answer
// and kt's hearing of it (kills kt, say), or before the write goes on (somebody else writes the same object). Upgrades and watches pass as they are.
// Used by crash-steps.test.ts.
import { once } from 'node:events';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { connect } from 'node:tls';

const FIXTURES = join(import.meta.dirname, '../../fixtures/tls');
const fixture = (name: string): string => readFileSync(join(FIXTURES, name), 'utf8');

export interface Write {
  /** `PATCH services/orders`. */
  readonly text: string;
  readonly method: string;
  readonly path: string;
}

interface Upstream {
  readonly host: string;
  readonly port: number;
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export class ApiRelay {
  /** Writes that were answered, in order. */
  readonly writes: string[] = [];
  /** Called when the API server has answered a write, before kt hears of it. */
  onAnswered: (write: Write) => Promise<void> | void = () => undefined;
  /** Called before a write goes on to the API server. */
  onAsked: (write: Write) => Promise<void> | void = () => undefined;
  readonly #server: Server;
  readonly #upstream: Upstream;
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(upstream: Upstream) {
    this.#upstream = upstream;
    this.#server = createServer({ cert: fixture('server.pem'), key: fixture('server.key') });
    this.#server.on('request', (asked, answer) => {
      this.#relay(asked, answer).catch(() => answer.destroy());
    });
    this.#server.on('upgrade', (asked, socket, head) => this.#upgrade(asked, socket, head));
    this.#server.on('tlsClientError', () => undefined);
  }

  /** In the name of the user whose kubeconfig it is (with a client certificate). */
  static async start(kubeconfig: string): Promise<ApiRelay> {
    const text = readFileSync(kubeconfig, 'utf8');
    const value = (key: string): string => new RegExp(`${key}: (\\S+)`).exec(text)?.[1] ?? '';
    const data = (key: string): Buffer => Buffer.from(value(`${key}-data`), 'base64');
    const { hostname, port } = new URL(value('server'));
    const relay = new ApiRelay({
      host: hostname,
      port: Number(port),
      ca: data('certificate-authority'),
      cert: data('client-certificate'),
      key: data('client-key'),
    });
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  /** A kubeconfig that leads here, for the user with this id. */
  kubeconfig(to: string, owner: number): string {
    const { port } = this.#server.address() as AddressInfo;
    const cluster = {
      server: `https://127.0.0.1:${port}`,
      'certificate-authority-data': Buffer.from(fixture('ca.pem')).toString('base64'),
    };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'relay',
      contexts: [{ name: 'relay', context: { cluster: 'relay', user: 'relay', namespace: 'shop' } }],
      clusters: [{ name: 'relay', cluster }],
      users: [{ name: 'relay', user: { token: 'the-relay-has-its-own' } }],
    };
    writeFileSync(to, JSON.stringify(config), { mode: 0o600 });
    chownSync(to, owner, owner);
    return to;
  }

  /** Nothing is to be done any more, and writes count from here. */
  reset(): void {
    this.writes.length = 0;
    this.onAnswered = () => undefined;
    this.onAsked = () => undefined;
  }

  close(): void {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #relay(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const write = writeOf(asked);
    // Whole before anything else: whoever asked may be gone by the time it goes on, as bytes on a slow line are.
    const body = write && (await buffer(asked));
    if (write) await this.onAsked(write);
    const { authorization: _, ...headers } = asked.headers;
    const { method = 'GET', url = '/' } = asked;
    const onward = request({ ...this.#upstream, agent: this.#agent, method, path: url, headers });
    asked.on('error', () => undefined);
    answer.on('error', () => undefined);
    if (body) onward.end(body);
    else {
      answer.on('close', () => onward.destroy());
      asked.pipe(onward);
    }
    const [got] = (await once(onward, 'response')) as [IncomingMessage];
    onward.on('error', () => answer.destroy());
    if (write && (got.statusCode ?? 500) < 300) {
      this.writes.push(write.text);
      await this.onAnswered(write);
    }
    answer.writeHead(got.statusCode ?? 502, got.headers);
    answer.flushHeaders();
    got.on('error', () => answer.destroy()).pipe(answer);
  }

  #upgrade(asked: IncomingMessage, socket: Duplex, head: Buffer): void {
    const onward = connect({ ...this.#upstream, ALPNProtocols: ['http/1.1'] }, () => {
      const { authorization: _, ...headers } = asked.headers;
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}`);
      onward.write(`${asked.method ?? 'GET'} ${asked.url ?? '/'} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    for (const [one, other] of [
      [onward, socket],
      [socket, onward],
    ] as const)
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
  }
}

/** Questions about rights are writes in name only. */
function writeOf({ method = 'GET', url = '' }: IncomingMessage): Write | undefined {
  if (method === 'GET' || url.includes('authorization.k8s.io')) return undefined;
  const { pathname: path } = new URL(url, 'https://relay');
  return { method, path, text: `${method} ${path.replace(/^.*\/namespaces\/[^/]+\//, '')}` };
}
