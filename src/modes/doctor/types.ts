// What the checks of `kt doctor` share: the world as it is known so far, and what a check gives. Types only.
// Filled in by doctor.ts, hop by hop; each check reads what the ones before it found.
import type { ClusterConfig } from '../../cluster/config.ts';
import type { Credentials } from '../../cluster/credentials.ts';
import type { ClusterApi } from '../../cluster/rest.ts';
import type { Mode } from '../../session/events.ts';
import type { CheckId, Finding } from '../../session/findings.ts';
import type { SessionOptions } from '../../session/types.ts';

export interface DoctorOptions
  extends Pick<
    SessionOptions,
    | 'version'
    | 'kubeconfig'
    | 'context'
    | 'namespace'
    | 'pac'
    | 'proxyPort'
    | 'dnsPort'
    | 'clusterDomain'
    | 'mode'
    | 'transport'
    | 'placement'
    | 'startLimitMs'
  > {
  readonly env: NodeJS.ProcessEnv;
  /** Create nothing in the cluster: no agent is started. */
  readonly readOnly: boolean;
}

export interface World {
  readonly options: DoctorOptions;
  readonly signal: AbortSignal;
  config?: ClusterConfig;
  credentials?: Credentials;
  api?: ClusterApi;
  /** What the API server calls the user. */
  user?: string;
  mode?: Mode | undefined;
  /** What has to be undone at the end. */
  readonly closers: (() => Promise<void> | void)[];
}

export type Outcome = Omit<Finding, 'check' | 'ms'> & {
  readonly check?: CheckId;
  /** Where the check itself measured something narrower than its whole run. */
  readonly ms?: number;
};

/** Rejecting means `failed`, with the error's message, hint and code. */
export type Check = (world: World) => Promise<Outcome | readonly Outcome[]>;
