// What a command needs to hold Services: the cluster's API, a session of its own, and the janitor that gives them back after kill -9.
// Called by commands/hold.ts and commands/run.ts.
import { randomBytes } from 'node:crypto';
import { loadClusterConfig } from '../cluster/config.ts';
import { ClusterApi } from '../cluster/rest.ts';
import type { HoldContext } from '../modes/hold.ts';
import type { EventSink } from '../session/events.ts';
import { Janitor } from '../session/janitor.ts';
import type { SessionArguments } from './options.ts';

export interface Inbound {
  readonly context: HoldContext;
  /** From now on a dead kt is cleaned up after: to be called before the first change. */
  guard(): void;
  /** Nothing is left to clean up. */
  dismiss(): void;
  close(): void;
}

export async function openInbound(
  wanted: SessionArguments,
  version: string,
  emit: EventSink,
  signal: AbortSignal,
): Promise<Inbound> {
  const { kubeconfig, context, namespace, image, imagePullSecret, nodeSelector, startLimitMs, debug } = wanted;
  const config = await loadClusterConfig({ kubeconfig, context, namespace });
  const api = new ClusterApi(config);
  const session = randomBytes(4).toString('hex');
  const placement = { image, imagePullSecret, nodeSelector };
  let janitor: Janitor | undefined;
  return {
    context: { api, namespace: config.namespace, session, version, placement, startLimitMs, debug, emit, signal },
    guard: () => {
      const entry = process.argv[1];
      if (entry === undefined) return;
      const where = [...(kubeconfig ? ['--kubeconfig', kubeconfig] : []), '--context', config.context];
      const recover = ['recover', '--session', session, ...where, '--namespace', config.namespace];
      janitor = new Janitor([process.execPath, entry, ...recover], process.env);
    },
    dismiss: () => janitor?.dismiss(),
    close: () => api.close(),
  };
}
