// Readiness probes: tcpSocket (somebody listens) and httpGet (a status from 200 to 399). exec and grpc probes count as passed.
// Used by pods/runner.ts.
import http from 'node:http';
import type { Container, Probe } from '../types.ts';
import type { PodNetwork } from './network.ts';

/** timeoutSeconds of a probe is 1 unless it says otherwise. */
const TIMEOUT_MS = 1_000;
export const PERIOD_DEFAULT_S = 10;

/** A number, or the container port of that name. */
export function portOf(container: Container, port: number | string): number {
  if (typeof port === 'number') return port;
  return container.ports?.find((one) => one.name === port)?.containerPort ?? Number(port);
}

function get(port: number, path: string, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get(
      {
        host: '127.0.0.1',
        port,
        path,
        timeout: TIMEOUT_MS,
        agent: false,
        headers: { host, 'user-agent': 'kube-probe/1.34' },
      },
      (response) => {
        response.resume();
        response.on('error', () => {});
        resolve((response.statusCode ?? 500) >= 200 && (response.statusCode ?? 500) < 400);
      },
    );
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
    request.on('close', () => resolve(false));
  });
}

/** Never rejects. */
export async function passes(
  probe: Probe | undefined,
  container: Container,
  network: PodNetwork,
  ip: string,
): Promise<boolean> {
  const target = probe?.httpGet ?? probe?.tcpSocket;
  if (target === undefined) return true;
  const port = portOf(container, target.port);
  const way = network.route(ip, 'tcp', ip, port);
  if (!('realPort' in way)) return false;
  if (probe?.httpGet === undefined) return true;
  return get(way.realPort, probe.httpGet.path ?? '/', `${ip}:${port}`);
}
