// An application of a developer in front of a Service of the cluster: started by `kt run --exchange`, asked on the laptop and from a pod, ended as a
// terminal ends it. The Service is the test's own, in front of the shop's `stock`. Used by test/e2e/{run-apps,run-spring,run-gradle}.test.ts.
import { createServer } from 'node:net';
import { expect } from 'vitest';
import { type Dialogue, startDialogue } from '../../support/dialogue.ts';
import { execute, kubectl, type Laptop, UID } from './kt.ts';
import { ktRunWith } from './programs.ts';

/** Milliseconds for an application to answer: a JVM on two busy cores. */
const START_MS = 120_000;

export interface Application {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** The command that a developer types; it has to listen on the port. */
  readonly command: (port: number) => string[];
  /** Of `kt run`, besides `--exchange`. */
  readonly flags?: readonly string[];
}

export class CalledBack {
  readonly name: string;
  readonly #laptop: Laptop;

  constructor(laptop: Laptop, name: string) {
    this.#laptop = laptop;
    this.name = name;
  }

  async deploy(): Promise<void> {
    const spec = { selector: { app: 'stock' }, ports: [{ port: 80, targetPort: 8080 }] };
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: this.name }, spec };
    await kubectl(['apply', '-f', '-'], 'dev', JSON.stringify(service));
  }

  async remove(): Promise<void> {
    await kubectl(['delete', 'service', this.name, '--ignore-not-found', '--wait=false']);
  }

  /** Starts it and waits until it answers on the laptop; gives that answer. */
  async serve(
    { cwd, env, command, flags = [] }: Application,
    path: string,
  ): Promise<{ app: Dialogue; answer: string }> {
    const port = await freePort();
    const line = ktRunWith(this.#laptop, [...flags, '--exchange', `${this.name}:${port}:80`], ...command(port));
    const app = startDialogue(line, {
      uid: UID,
      gid: UID,
      cwd,
      detached: true,
      env: this.#laptop.env('dev', { ...env, PORT: String(port) }),
    });
    const limit = Date.now() + START_MS;
    for (;;) {
      const asked = await execute('curl', ['-sS', '--max-time', '20', `http://127.0.0.1:${port}${path}`]);
      if (asked.code === 0) return { app, answer: asked.stdout };
      if (Date.now() > limit || app.child.exitCode !== null) {
        await end(app);
        throw new Error(`no answer: ${asked.stderr}\n${app.stderr()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  /** What a pod of the cluster gets from the Service. */
  fromPod(path: string): Promise<string> {
    const script = `fetch('http://${this.name}${path}').then((answer) => answer.text()).then(console.log)`;
    return kubectl(['exec', 'deploy/orders', '--', 'node', '-e', script]);
  }

  /** A pod gets `saying` from the application; after its end the original pods answer. */
  async expectCalledBack({ app }: { app: Dialogue }, path: string, saying: string): Promise<void> {
    try {
      await expect.poll(() => this.fromPod(path), { timeout: 30_000, interval: 500 }).toContain(saying);
    } finally {
      await end(app);
    }
    await expect.poll(() => this.fromPod('/who'), { timeout: 30_000, interval: 500 }).toContain('"service":"stock"');
  }
}

/** The whole group, as a terminal and an IDE do: npm passes no signal to what it has started. */
export async function end(app: Dialogue): Promise<void> {
  if (app.child.exitCode === null) process.kill(-(app.child.pid ?? 0), 'SIGTERM');
  await app.end();
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
