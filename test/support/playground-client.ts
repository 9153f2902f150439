// A client of the playground for its tests: requests as one of its users, watches, waits for states, port-forwards by `ws` (a peer that
// shares no code with ours). Tests only.
import { readFileSync } from 'node:fs';
import https from 'node:https';
import type net from 'node:net';
import { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocket } from 'ws';
import type { Playground } from '../../src/playground/start.ts';

export type UserName = 'dev' | 'reader' | 'forwarder' | 'expired' | 'admin';

interface Kubeconfig {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
  users: { name: string; user: { token: string } }[];
}

// The shapes of answers are what the tests are about.
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;

export interface Answer {
  readonly code: number;
  readonly body: Json;
  readonly headers: NodeJS.Dict<string | string[]>;
}

export class PlaygroundClient {
  readonly server: string;
  readonly ca: Buffer;
  readonly #tokens: Map<string, string>;
  readonly #agent: https.Agent;

  constructor(playground: Pick<Playground, 'kubeconfig'>) {
    const config = JSON.parse(readFileSync(playground.kubeconfig, 'utf8')) as Kubeconfig;
    const cluster = config.clusters[0]?.cluster;
    if (cluster === undefined) throw new Error('no cluster in the kubeconfig');
    this.server = cluster.server;
    this.ca = Buffer.from(cluster['certificate-authority-data'], 'base64');
    this.#tokens = new Map(config.users.map((user) => [user.name, user.user.token]));
    this.#agent = new https.Agent({ keepAlive: true, ca: this.ca });
  }

  close(): void {
    this.#agent.destroy();
  }

  headers(user: UserName | undefined): Record<string, string> {
    return user === undefined ? {} : { Authorization: `Bearer ${this.#tokens.get(user) ?? ''}` };
  }

  request(
    user: UserName | undefined,
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    // Node sends a DELETE's body without a length by itself, which is not HTTP.
    const length = text === undefined ? {} : { 'content-length': String(Buffer.byteLength(text)) };
    const all = { 'content-type': 'application/json', ...length, ...this.headers(user), ...headers };
    return new Promise((resolve, reject) => {
      const request = https.request(this.server + path, { method, agent: this.#agent, headers: all }, (response) => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          answer += chunk;
        });
        response.on('error', reject);
        response.on('end', () => {
          const json = (response.headers['content-type'] ?? '').includes('json');
          resolve({
            code: response.statusCode ?? 0,
            body: json ? JSON.parse(answer) : answer,
            headers: response.headers,
          });
        });
      });
      request.on('error', reject);
      request.end(text);
    });
  }

  get(path: string, user: UserName = 'admin'): Promise<Answer> {
    return this.request(user, 'GET', path);
  }

  post(path: string, body: unknown, user: UserName = 'admin'): Promise<Answer> {
    return this.request(user, 'POST', path, body);
  }

  delete(path: string, body?: unknown, user: UserName = 'admin'): Promise<Answer> {
    return this.request(user, 'DELETE', path, body);
  }

  patch(path: string, body: unknown, type = 'application/merge-patch+json', user: UserName = 'admin'): Promise<Answer> {
    return this.request(user, 'PATCH', path, body, { 'content-type': type });
  }

  /** The events of a watch, one by one; ends when the server ends it, or when the loop is left. */
  async *watch(path: string, user: UserName = 'admin', headers: Record<string, string> = {}): AsyncGenerator<Json> {
    const response = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
      const request = https.request(
        this.server + path,
        { agent: this.#agent, headers: { ...this.headers(user), ...headers } },
        resolve,
      );
      request.on('error', reject);
      request.end();
    });
    let held = '';
    try {
      for await (const chunk of response) {
        held += String(chunk);
        for (let end = held.indexOf('\n'); end >= 0; end = held.indexOf('\n')) {
          yield JSON.parse(held.slice(0, end));
          held = held.slice(end + 1);
        }
      }
    } finally {
      (response as unknown as Duplex).destroy();
    }
  }

  /** Watches until an object of the list is as wanted, and gives it. `gone` objects are reported with the type DELETED. */
  async until(path: string, wanted: (object: Json, type: string) => boolean): Promise<Json> {
    const separator = path.includes('?') ? '&' : '?';
    for await (const event of this.watch(`${path}${separator}watch=1`)) {
      if (wanted(event.object, event.type)) return event.object;
    }
    throw new Error(`the watch of ${path} ended without the state that was waited for`);
  }

  /** Waits until the pod is in this phase. */
  podPhase(namespace: string, name: string, phase: string): Promise<Json> {
    return this.until(
      `/api/v1/namespaces/${namespace}/pods?fieldSelector=metadata.name=${name}`,
      (pod) => pod.status.phase === phase,
    );
  }

  podReady(namespace: string, selector: string): Promise<Json> {
    return this.until(
      `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`,
      (pod) => pod.status.conditions?.some((one: Json) => one.type === 'Ready' && one.status === 'True') ?? false,
    );
  }

  /** The whole log of a pod, once it has ended. */
  async log(namespace: string, name: string): Promise<string> {
    const answer = await this.get(`/api/v1/namespaces/${namespace}/pods/${name}/log?follow=1`);
    return String(answer.body);
  }

  /** The first line that a running pod writes. */
  firstLine(namespace: string, name: string): Promise<string> {
    return this.logLine(namespace, name, /^/);
  }

  /** The first line of a running pod's log, now or later, that matches. */
  logLine(namespace: string, name: string, wanted: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = '';
      const path = `/api/v1/namespaces/${namespace}/pods/${name}/log?follow=1`;
      const request = https.request(
        this.server + path,
        { agent: this.#agent, headers: this.headers('admin') },
        (response) => {
          response.setEncoding('utf8');
          response.on('error', reject);
          response.on('data', (chunk: string) => {
            text += chunk;
            const line = text
              .split('\n')
              .slice(0, -1)
              .find((one) => wanted.test(one));
            if (line === undefined) return;
            response.off('error', reject).on('error', () => {});
            response.destroy();
            resolve(line);
          });
          response.on('end', () => reject(new Error(`the log ended without a line: ${text}`)));
        },
      );
      request.on('error', reject);
      request.end();
    });
  }

  /** An open websocket to a pod, unframed. */
  websocket(
    namespace: string,
    pod: string,
    ports: readonly number[],
    user: UserName = 'dev',
    protocol = 'v4.channel.k8s.io',
  ): WebSocket {
    const query = ports.map((port) => `ports=${port}`).join('&');
    return new WebSocket(
      `${this.server.replace('https', 'wss')}/api/v1/namespaces/${namespace}/pods/${pod}/portforward?${query}`,
      [protocol],
      { ca: this.ca, headers: this.headers(user), perMessageDeflate: false },
    );
  }

  /** The bytes of one port as a Duplex: channel and port bytes taken off, the error channel's text an error. */
  async forward(namespace: string, pod: string, port: number): Promise<Duplex> {
    const websocket = this.websocket(namespace, pod, [port]);
    const messages = createWebSocketStream(websocket, { objectMode: true });
    await new Promise<void>((resolve, reject) => {
      websocket.once('open', resolve);
      websocket.once('error', reject);
    });
    let headers = 2;
    const stream = new Duplex({
      write(chunk: Buffer, _encoding, done) {
        websocket.send(Buffer.concat([Buffer.from([0]), chunk]), done);
      },
      read() {
        messages.resume();
      },
      destroy(error, done) {
        websocket.terminate();
        done(error);
      },
    });
    messages.on('data', (message: Buffer) => {
      if (headers > 0) headers -= 1;
      else if (message[0] === 1) stream.destroy(new Error(message.subarray(1).toString()));
      else if (!stream.push(message.subarray(1))) messages.pause();
    });
    messages.on('error', (error) => stream.destroy(error));
    messages.on('end', () => stream.push(null));
    return stream;
  }
}

/** A pod that runs this code with node -e. */
export function nodePod(
  name: string,
  code: string,
  spec: Record<string, unknown> = {},
  container: Record<string, unknown> = {},
): Json {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 5,
      containers: [{ name: 'main', image: 'node:24-slim', command: ['node', '-e', code], ...container }],
      ...spec,
    },
  };
}

/** Is there a process of this id? */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves when the socket has closed; with the error where there was one. */
export function closed(socket: net.Socket): Promise<Error | undefined> {
  return new Promise((resolve) => {
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => resolve(failure));
  });
}
