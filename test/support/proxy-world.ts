// A proxy port on a dialer that knows only what the test serves, each under a name of its own. For the tests of SOCKS, the HTTP proxy
// and the port that carries both. Fresh for every test; `stop()` closes the port and all that was served.
import type { IncomingMessage, RequestOptions } from 'node:http';
import type { Listener } from '../../src/netstack/listener.ts';
import { listenMixedPort, type MixedPortOptions } from '../../src/netstack/mixed-port.ts';
import type { ProxyLogEntry } from '../../src/netstack/proxy-log.ts';
import { LoopbackDialer } from './loopback-dialer.ts';
import { httpServer, type Peer, RawClient } from './peers.ts';
import { recordRequest, type SeenRequest } from './record-request.ts';

export class ProxyWorld {
  readonly dialer = new LoopbackDialer({ names: {} });
  /** What the web server saw, newest last. */
  readonly seen: SeenRequest[] = [];
  /** Of the port that listens now. */
  log: ProxyLogEntry[] = [];
  readonly #peers: Peer[] = [];
  #listener: Listener | undefined;

  /** The port that listens now; throws before start(). */
  get listener(): Listener {
    if (!this.#listener) throw new Error('not started');
    return this.#listener;
  }

  get port(): number {
    return this.listener.port;
  }

  /** Listens; where it listened before, on a new port with other options. */
  async start(options: Partial<MixedPortOptions> = {}): Promise<void> {
    await this.#listener?.close();
    const entries: ProxyLogEntry[] = [];
    this.log = entries;
    this.#listener = await listenMixedPort({
      host: '127.0.0.1',
      port: 0,
      dialer: this.dialer,
      log: (_, entry) => entries.push(entry),
      ...options,
    });
  }

  async stop(): Promise<void> {
    await this.#listener?.close();
    await Promise.all(this.#peers.map((peer) => peer.stop()));
  }

  async serve(name: string, peer: Promise<Peer>): Promise<void> {
    const started = await peer;
    this.#peers.push(started);
    this.dialer.names[name] = started.port;
  }

  /** A web server `web` that notes what it sees and answers `METHOD url bytes`. */
  serveWeb(): Promise<void> {
    const answer = (incoming: IncomingMessage): Promise<string> => recordRequest(incoming, this.seen);
    const web = httpServer((incoming, response) => void answer(incoming).then((text) => response.end(text)));
    return this.serve('web', web);
  }

  /** Dials stay undecided until the function that this gives is called. */
  gate(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.dialer.hold = promise;
    return resolve;
  }

  /** A client of the port that has sent `text`. */
  raw(text: string): RawClient {
    return new RawClient(this.port).send(text);
  }

  /** What node:http wants for a request of `url` by way of the port. */
  proxied(options: RequestOptions, url: string): RequestOptions {
    return {
      host: '127.0.0.1',
      port: this.port,
      path: url,
      ...options,
      headers: { Host: new URL(url).host },
    };
  }
}
