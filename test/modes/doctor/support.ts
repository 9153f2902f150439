// A diagnosis of a seeded world: a kubeconfig in a folder of its own, an API server that the test scripts, an environment of the test's own.
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { diagnose } from '../../../src/modes/doctor/doctor.ts';
import type { DoctorOptions } from '../../../src/modes/doctor/types.ts';
import type { CheckId, Diagnosis, Finding } from '../../../src/session/findings.ts';
import { type FakeApi, startFakeApi } from '../../cluster/support/fake-api.ts';
import { folder, kubeconfig } from '../../cluster/support/kubeconfig-files.ts';
import { base64, pem } from '../../cluster/support/tls.ts';

export interface ApiFaults {
  readonly minor?: string;
  /** Milliseconds added to the server's clock. */
  readonly skewMs?: number;
  /** `verb resource/subresource`; all others are denied. Default: everything is allowed. */
  readonly rights?: readonly string[];
  /** Whatever labels are asked for. */
  readonly pods?: readonly object[];
}

/** An API server that answers what the doctor asks before it starts an agent. */
export function apiServer({ minor = '34', skewMs = 0, rights, pods = [] }: ApiFaults = {}): Promise<FakeApi> {
  return startFakeApi(async (request: IncomingMessage, response: ServerResponse) => {
    const answer = (value: unknown): void => {
      response.setHeader('Date', new Date(Date.now() + skewMs).toUTCString());
      response.end(JSON.stringify(value));
    };
    let body = '';
    for await (const piece of request as AsyncIterable<Buffer>) body += piece.toString();
    const url = request.url ?? '';
    if (url === '/version') return answer({ major: '1', minor, gitVersion: `v1.${minor}.0` });
    if (url.endsWith('/selfsubjectreviews'))
      return answer({ status: { userInfo: { username: 'anna', groups: ['dev'] } } });
    if (url.endsWith('/selfsubjectaccessreviews')) {
      const { verb, resource, subresource } = (
        JSON.parse(body) as { spec: { resourceAttributes: Record<string, string> } }
      ).spec.resourceAttributes;
      const right = `${verb} ${resource}${subresource ? `/${subresource}` : ''}`;
      return answer({ status: { allowed: rights?.includes(right) ?? true } });
    }
    if (/\/pods\?/.test(url)) return answer({ items: pods });
    return answer({ items: [], metadata: { name: 'x' } });
  });
}

/** A kubeconfig for this server whose user has a token. */
export function kubeconfigOf(server: string, user = 'token: abcdefgh', cluster = ''): string {
  const trust = cluster || `certificate-authority-data: ${base64(pem('ca.pem'))}`;
  return kubeconfig({ cluster: `server: "${server}", ${trust}`, user });
}

export interface Seed {
  readonly config?: string;
  readonly options?: Partial<DoctorOptions>;
  readonly env?: NodeJS.ProcessEnv;
}

export async function examine({ config, options = {}, env = {} }: Seed): Promise<Diagnosis> {
  const home = mkdtempSync(join(tmpdir(), 'kt-doctor-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  // Only Node on PATH: starting a JVM for each test would be slow.
  const own = { PATH: dirname(process.execPath), HOME: home, KT_RUNTIME_DIR: join(home, 'run') };
  const file = config === undefined ? undefined : folder()('config', config);
  const all: DoctorOptions = {
    version: '0.0.0',
    kubeconfig: file,
    context: undefined,
    namespace: undefined,
    proxyPort: 0,
    dnsPort: 0,
    clusterDomain: 'cluster.local',
    mode: 'auto',
    startLimitMs: 10_000,
    readOnly: true,
    env: { ...own, ...env },
    ...options,
  };
  return diagnose(all, () => undefined, new AbortController().signal);
}

export const of = ({ findings }: Diagnosis, check: CheckId): Finding[] => findings.filter((one) => one.check === check);
