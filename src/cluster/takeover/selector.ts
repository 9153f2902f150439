// The selector of a taken Service: what makes it lead to the agent, and what of it is the Service's own. Pure; called by whoever writes Services.
// It keeps the original's keys and changes their values. A redeploy (`helm upgrade`, `kubectl apply`, Argo CD) merges its manifest into what is
// there: keys of ours would stay beside its own, and both together choose no pod at all. Values it sets back, to exactly the original.
import { agentLabels, nameFor } from './manifests.ts';
import type { ServiceObject } from './types.ts';

export type Selector = Readonly<Record<string, string>>;

const isAgents = (service: string, key: string, value: string): boolean =>
  value === nameFor(service, 'ingress') || agentLabels(service)[key] === value;

/** The part of a merge patch that makes `from` to `to`: a merge patch leaves what it does not name. */
export function replaceSelector(from: Selector = {}, to: Selector = {}): Record<string, string | null> {
  return { ...Object.fromEntries(Object.keys(from).map((key) => [key, null])), ...to };
}

/** What leads to the agent in the place of `selector`. Its pods carry the keys in `carried`, and labels that are ours alone. */
export function selectorToAgent(service: string, selector: Selector, carried: Selector = selector): Selector {
  const keys = Object.keys(selector).filter((key) => Object.hasOwn(carried, key));
  if (keys.length === 0) return agentLabels(service);
  return Object.fromEntries(keys.map((key) => [key, agentLabels(service)[key] ?? nameFor(service, 'ingress')]));
}

/** Nobody but the agent is chosen by it. */
export function leadsToAgent({ metadata: { name }, spec: { selector = {} } }: ServiceObject): boolean {
  const entries = Object.entries(selector);
  return entries.length > 0 && entries.every(([key, value]) => isAgents(name, key, value));
}

/** The Service's own selector, as it is to be without us; `before` is what it was when it was taken. */
export function ownSelector(
  { metadata: { name }, spec: { selector = {} } }: ServiceObject,
  before: Selector,
): Selector {
  const own = Object.entries(selector).flatMap(([key, value]): [string, string][] => {
    if (!isAgents(name, key, value)) return [[key, value]];
    const old = before[key];
    return old === undefined ? [] : [[key, old]];
  });
  // Somebody else's writing counts, however little of it there is; without it all is as it was.
  const foreign = Object.entries(selector).some(([key, value]) => !isAgents(name, key, value));
  return foreign ? Object.fromEntries(own) : before;
}
