// The tools that are compared, as processes, and the measuring client.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { end, KT, waitFor } from '../support/processes.mjs';

/** `kt connect`; ways by SOCKS5 and by the HTTP proxy. */
export async function startKt(kubeconfig, host, port) {
  const started = performance.now();
  const args = [
    ...KT.slice(1),
    'connect',
    '--output',
    'json',
    '--proxyAuth',
    'none',
    '--proxyPort',
    '0',
    '--dnsPort',
    '0',
  ];
  const child = spawn(KT[0], args, {
    env: { ...process.env, KUBECONFIG: kubeconfig },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [, ready] = await waitFor(child, child.stdout, /({[^\n]*"type":"ready"[^\n]*})\n/, 'kt connect');
  const { proxy } = JSON.parse(ready);
  return {
    name: 'kt',
    pid: child.pid,
    started,
    ways: { socks: { kind: 'socks', proxy, host, port }, http: { kind: 'http', proxy, host, port } },
    stop: () => end(child),
  };
}

/** `kubectl port-forward service/…`, as the client chooses its protocol. */
export async function startKubectl(kubeconfig, host, port) {
  const started = performance.now();
  const child = spawn('kubectl', ['--kubeconfig', kubeconfig, 'port-forward', `service/${host}`, `:${port}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [, local] = await waitFor(child, child.stdout, /127\.0\.0\.1:(\d+) ->/, 'kubectl port-forward');
  return {
    name: 'kubectl',
    pid: child.pid,
    started,
    ways: { tcp: { kind: 'tcp', host: '127.0.0.1', port: Number(local) } },
    stop: () => end(child),
  };
}

/**
 * Runs the measuring client; under the Node shim where `shim` is set. Not synchronously: kubectl says a line for each connection, and stops where
 * nobody reads them.
 */
export async function measure(way, task, settings, { shim = false, kubeconfig } = {}) {
  const client = [new URL('client.mjs', import.meta.url).pathname, JSON.stringify({ way, task, ...settings })];
  const [file, ...args] = shim ? [...KT, 'run', '--', KT[0], ...client] : [KT[0], ...client];
  const env = { ...process.env, KUBECONFIG: kubeconfig ?? process.env.KUBECONFIG };
  const child = spawn(file, args, { env, timeout: 45_000, stdio: ['ignore', 'pipe', 'inherit'] });
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (code !== 0) throw new Error(`${task} ended with ${code ?? 'the time'}`);
  return JSON.parse(said.trim().split('\n').at(-1));
}
