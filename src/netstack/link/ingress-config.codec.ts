// What an ingress agent is told in its pod's environment (KT_INGRESS, JSON): where to listen, and the way to the original pods.
// Written by cluster/takeover, read by the agent; it lives here because both may import netstack. Pure.
import { KtError } from '../../errors.ts';

export interface IngressListener {
  /** The Service's target port as a number; the agent listens on it. */
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
  /** Port of the origin Service that leads to the same target port. */
  readonly originPort: number;
}

export interface IngressConfig {
  readonly service: string;
  /** ClusterIP or name of the origin Service; null for a preview, which has no original pods. */
  readonly origin: string | null;
  /** Answers HTTP 200 once everything listens: the readiness probe's port. Not one of `listeners`. */
  readonly healthPort: number;
  readonly listeners: readonly IngressListener[];
  /** One more endpoint beside the original pods (mesh in manual mode): ready only while a laptop is there. */
  readonly standby?: boolean;
}

const isPort = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536;

/** Throws LINK_PROTOCOL where `text` is not such a configuration. */
export function parseIngressConfig(text: string): IngressConfig {
  const fault = (what: string): KtError => new KtError('LINK_PROTOCOL', `the ingress configuration ${what}`);
  let value: Partial<IngressConfig> | null;
  try {
    value = JSON.parse(text) as Partial<IngressConfig> | null;
  } catch (cause) {
    throw new KtError('LINK_PROTOCOL', 'the ingress configuration is not JSON', { cause });
  }
  const { service, origin = null, healthPort, listeners, standby } = value ?? {};
  if (typeof service !== 'string' || !isPort(healthPort) || !Array.isArray(listeners)) throw fault('lacks a field');
  if (origin !== null && typeof origin !== 'string') throw fault("has an 'origin' that is no text");
  for (const { port, protocol, originPort } of listeners as IngressListener[]) {
    if (!isPort(port) || !isPort(originPort) || (protocol !== 'TCP' && protocol !== 'UDP'))
      throw fault('has a listener that is none');
  }
  return { service, origin, healthPort, listeners, standby: standby === true };
}
