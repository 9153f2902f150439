// kubectl for the benchmarks: objects of their own, and programs that run in a pod.
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

export const KUBECONFIG = process.env.KUBECONFIG || '/var/lib/kcluster/kubeconfigs/dev';

export const kubectl = (args, input) =>
  execFileSync('kubectl', ['--kubeconfig', KUBECONFIG, ...args], { encoding: 'utf8', input });

export const create = (items) =>
  kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));

/** Runs a module in a pod, with `settings` as its global SETTINGS; gives the JSON that it prints last. */
export async function runInPod(pod, code, settings, timeoutMs = 120_000) {
  const args = ['--kubeconfig', KUBECONFIG, 'exec', '-i', pod, '--', 'node', '--input-type=module', '-'];
  const running = promisify(execFile)('kubectl', args, { timeout: timeoutMs });
  running.child.stdin.end(`globalThis.SETTINGS=${JSON.stringify(settings)};\n${code}`);
  const { stdout } = await running;
  return JSON.parse(stdout.trim().split('\n').at(-1));
}
