// The programs of the transparency test in the cluster: bundled into one file each, the target in a Deployment with a ConfigMap and a
// certificate of the test's own, the caller by stdin of a pod's Node. Used by transparency.test.ts.
import { spawn } from 'node:child_process';
import { rolldown } from 'rolldown';
import { makeServerIdentity } from '../../../src/netstack/certificate.codec.ts';
import { PORTS } from '../../fixtures/transparency/contract.ts';
import { kubectl, Running } from './kt.ts';

/** Milliseconds for the whole caller: its slowest answer comes after 90 s. */
const CALLER_MS = 200_000;
const FOLDER = 'test/fixtures/transparency';

/** One script that needs nothing but Node. */
async function bundle(name: 'caller' | 'target'): Promise<string> {
  // What `ws` would use if it were installed.
  const external = ['bufferutil', 'utf-8-validate'];
  const build = await rolldown({ input: `${FOLDER}/${name}.ts`, platform: 'node', external, logLevel: 'silent' });
  const { output } = await build.generate({ format: 'esm', minify: true, codeSplitting: false });
  await build.close();
  return output[0].code;
}

export async function deployTarget(name: string): Promise<void> {
  const { certificate, privateKey } = makeServerIdentity({ now: new Date(), days: 1 });
  const labels = { app: name };
  const metadata = { name, namespace: 'shop' };
  const container = {
    name: 'app',
    image: 'node:24-slim',
    command: ['node', '/app/target.mjs'],
    env: [
      { name: 'TLS_CERT', value: certificate },
      { name: 'TLS_KEY', value: privateKey },
    ],
    readinessProbe: { tcpSocket: { port: PORTS.tls }, periodSeconds: 1 },
    resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '256Mi' } },
    volumeMounts: [{ name: 'app', mountPath: '/app', readOnly: true }],
  };
  const spec = {
    terminationGracePeriodSeconds: 0,
    containers: [container],
    volumes: [{ name: 'app', configMap: { name } }],
  };
  const items = [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'target.mjs': await bundle('target') } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        selector: labels,
        ports: [
          { name: 'web', port: 80, targetPort: PORTS.http },
          { name: 'h2c', port: PORTS.h2c },
          { name: 'grpc', port: PORTS.grpc },
          { name: 'tls', port: 443, targetPort: PORTS.tls },
        ],
      },
    },
  ];
  await kubectl(['create', '-f', '-'], 'dev', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await kubectl(['rollout', 'status', `deployment/${name}`, '--timeout=60s']);
}

export async function removeTarget(name: string): Promise<void> {
  await kubectl(['delete', 'deployment,service,configmap', name, '--ignore-not-found', '--now']);
}

export interface Seen {
  readonly record: unknown;
  readonly forwarded?: string;
  readonly peer?: string;
}

export class Caller {
  readonly #script: string;

  private constructor(script: string) {
    this.#script = script;
  }

  static async make(host: string): Promise<Caller> {
    return new Caller(`globalThis.HOST=${JSON.stringify(host)};\n${await bundle('caller')}`);
  }

  /**
   * Starts every case once, from a pod of the gateway. `fast`: all but the slow one have ended; `seen`: what was seen, by the name of the case.
   */
  start(): { readonly fast: Promise<void>; readonly seen: Promise<Record<string, Seen>> } {
    const config = process.env['KT_E2E_KUBECONFIGS'] ?? '/var/lib/kcluster/kubeconfigs';
    const args = ['exec', '-i', 'deploy/gateway', '--', 'node', '--input-type=module', '-'];
    const child = spawn('kubectl', ['--kubeconfig', `${config}/dev`, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    const running = new Running(child);
    const timer = setTimeout(() => child.kill('SIGKILL'), CALLER_MS);
    child.stdin.end(this.#script);
    const fast = new Promise<void>((resolve) => {
      child.stdout.on('data', () => running.stdout.includes('\n') && resolve());
      void running.exited.then(() => resolve());
    });
    return {
      fast,
      seen: running.exited.then(({ code }) => this.#result(running, code)).finally(() => clearTimeout(timer)),
    };
  }

  #result({ stdout, stderr }: Running, code: number | null): Record<string, Seen> {
    if (code !== 0) throw new Error(`the caller ended with ${code}: ${stderr}`);
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}') as Record<string, Seen>;
  }
}
