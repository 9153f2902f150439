// Must: a mark gets through services as docs/exchange.md says: its code and its commands, on this machine and without a cluster. Spring Boot
// with and without tracing, Node with and without OpenTelemetry. Through the cluster's own chain: mark-chain.test.ts.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { execute } from './support/kt.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const children: ChildProcess[] = [];

/** Starts a program that prints `port N` once it listens, and calls the service `NEXT`. Gives its address. */
async function start(command: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('port ')) continue;
    // Read on, or a talkative one would wait for a reader.
    setImmediate(() => child.stdout.resume());
    return `http://127.0.0.1:${line.slice(5)}`;
  }
  throw new Error(`${file} ended before it listened`);
}

async function stopAll(): Promise<void> {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
}

describe('the code and the commands of docs/exchange.md', { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'kt-propagation-'));
  const next = createServer((request, response) => response.end(JSON.stringify(request.headers)));
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    next.listen(0, '127.0.0.1');
    await once(next, 'listening');
    cpSync('test/fixtures/propagation', folder, { recursive: true });
    const quiet = { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' };
    env = {
      NEXT: `http://127.0.0.1:${(next.address() as AddressInfo).port}/`,
      ...quiet,
      OTEL_NODE_RESOURCE_DETECTORS: 'none',
    };
  });
  afterAll(async () => {
    await stopAll();
    next.close().closeAllConnections();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The headers that the next service saw. */
  const passed = async (url: string, headers: Record<string, string>): Promise<Record<string, string>> =>
    (await (await fetch(url, { headers, signal: AbortSignal.timeout(20_000) })).json()) as Record<string, string>;
  const marked = { traceparent: TRACEPARENT, tracestate: 'version=anna' };

  test('Node with OpenTelemetry: CommonJS and ES modules; without the loader ES modules pass nothing on', async () => {
    const cwd = join(folder, 'node');
    const install = await execute('npm', ['ci', '--prefix', cwd, '--no-audit', '--no-fund', '--ignore-scripts'], {
      timeoutMs: 120_000,
    });
    expect(install.code, install.stderr).toBe(0);
    const source = readFileSync(join(cwd, 'traced.mjs'), 'utf8').replace(
      /^import http from 'node:http';/m,
      "const http = require('node:http');",
    );
    writeFileSync(join(cwd, 'app.cjs'), source);
    cpSync(join(cwd, 'traced.mjs'), join(cwd, 'app.mjs'));
    const commands = [...readFileSync('docs/exchange.md', 'utf8').matchAll(/^node (.* app\.[cm]js)$/gm)].map(
      (found) => found[1] ?? '',
    );
    expect(commands).toHaveLength(2);
    for (const command of commands) {
      const url = await start([process.execPath, ...command.split(' ')], cwd, env);
      for (const client of ['fetch', 'http']) {
        expect(await passed(`${url}/${client}`, { baggage: 'version=anna' }), command).toMatchObject({
          baggage: 'version=anna',
        });
        expect(await passed(`${url}/${client}`, marked), command).toMatchObject({ tracestate: 'version=anna' });
      }
    }
    const register = '@opentelemetry/auto-instrumentations-node/register';
    const url = await start([process.execPath, '--require', register, 'app.mjs'], cwd, env);
    expect(await passed(`${url}/http`, { baggage: 'version=anna' })).not.toHaveProperty('baggage');
  });

  test('Node without tracing', async () => {
    const url = await start([process.execPath, 'plain.mjs'], join(folder, 'node'), env);
    expect(await passed(url, { version: 'anna' })).toMatchObject({ version: 'anna' });
    expect(await passed(url, {})).not.toHaveProperty('version');
  });

  test('Spring Boot: with tracing by itself, a plain header with one line, without tracing by interceptors', async () => {
    const cwd = join(folder, 'spring');
    const built = await execute('mvn', ['-q', '-f', join(cwd, 'pom.xml'), '-DskipTests', 'package'], {
      timeoutMs: 150_000,
    });
    expect(built.code, built.stdout).toBe(0);
    const [property = ''] = /^management\.tracing\.baggage.*$/m.exec(readFileSync('docs/exchange.md', 'utf8')) ?? [];
    const boot = (...more: string[]): Promise<string> =>
      start(['java', '-jar', join(cwd, 'target/propagation-1.jar'), ...more], cwd, env);
    const [traced, fields, plain] = await Promise.all([
      boot(),
      boot(`--${property}`),
      boot('--spring.profiles.active=plain', '--management.tracing.sampling.probability=0'),
    ]);
    for (const client of ['rest', 'web']) {
      expect(await passed(`${traced}/${client}`, { baggage: 'version=anna' })).toMatchObject({
        baggage: 'version=anna',
      });
      expect(await passed(`${traced}/${client}`, marked)).toMatchObject({ tracestate: 'version=anna' });
      expect(await passed(`${traced}/${client}`, { version: 'anna' })).not.toHaveProperty('version');
      const both = await passed(`${fields}/${client}`, { version: 'anna' });
      expect(both['version']).toBe('anna');
      expect(both['baggage']).toMatch(/^version=anna(;|$)/);
      expect(await passed(`${plain}/${client}`, { version: 'anna' })).toMatchObject({ version: 'anna' });
      expect(await passed(`${plain}/${client}`, {})).not.toHaveProperty('version');
    }
  });
});
