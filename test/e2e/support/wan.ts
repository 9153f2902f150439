// A bad line to the API server: the test cluster's relay (`lab wan`), with its faults. Used by faults.test.ts and benchmarks.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';

const LAB = process.env['KT_E2E_LAB'] ?? join(homedir(), '.cache/kcluster/bin/lab');
const API_SERVER = process.env['KT_E2E_API'] ?? '198.18.255.2:6443';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export class Wan {
  readonly #child: ChildProcess;
  readonly #control: string;
  readonly server: string;

  private constructor(child: ChildProcess, control: string, server: string) {
    this.#child = child;
    this.#control = control;
    this.server = server;
  }

  /** `line` as `lab wan` takes it: ['--delay', '25ms', '--rate', '50mbit']. */
  static async start(line: readonly string[] = []): Promise<Wan> {
    const [port, control] = [await freePort(), await freePort()];
    const args = [
      'wan',
      '--listen',
      `127.0.0.1:${port}`,
      '--to',
      API_SERVER,
      '--control',
      `127.0.0.1:${control}`,
      ...line,
    ];
    const child = spawn(LAB, args, { stdio: 'ignore' });
    const wan = new Wan(child, `http://127.0.0.1:${control}`, `https://127.0.0.1:${port}`);
    await wan.#answers();
    return wan;
  }

  /** cut, heal, stall, resume, reset-all. */
  async fault(name: 'cut' | 'heal' | 'stall' | 'resume' | 'reset-all'): Promise<void> {
    const answer = await fetch(`${this.#control}/${name}`, { method: 'POST' });
    if (!answer.ok) throw new Error(`the relay answered ${answer.status} to ${name}`);
  }

  /** A copy of the kubeconfig whose server is this relay. */
  kubeconfig(from: string, to: string, owner: number): string {
    writeFileSync(to, readFileSync(from, 'utf8').replace(/server: .*/, `server: ${this.server}`), { mode: 0o600 });
    chownSync(to, owner, owner);
    return to;
  }

  async close(): Promise<void> {
    this.#child.kill();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }

  async #answers(): Promise<void> {
    const end = Date.now() + 10_000;
    for (;;) {
      try {
        await fetch(`${this.#control}/stats`);
        return;
      } catch (error) {
        if (Date.now() > end || this.#child.exitCode !== null)
          throw new Error('the relay does not answer', { cause: error });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}
