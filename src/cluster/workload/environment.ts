// The variables that a container of a workload gets: env, envFrom, valueFrom, `$(NAME)` and service links, in the kubelet's order.
// What may not be read is told with the right that is missing; what is not there ends it, as it would keep the pod from starting.
// Not which of them the program gets (modes/workload/deny-list.ts). Called by modes/workload/.
import type { KtError } from '../../errors.ts';
import { expand, references } from './expand.codec.ts';
import { fieldValue, type PodIdentity, resourceValue } from './fields.ts';
import type { Workload } from './find.ts';
import type { ConfigKind, ConfigSources, Found } from './sources.ts';
import type { EnvVariable, KeyReference } from './types.ts';

export interface Variable {
  readonly name: string;
  readonly value: string;
  /** `ConfigMap orders-config`, `Secret db`, `pod`, `service`; undefined: written in the template. */
  readonly from?: string | undefined;
  readonly secret: boolean;
}

/** A variable that the container has and that could not be found out. */
export interface Unknown {
  /** A name, or `PREFIX*` where nobody could look which there are. */
  readonly name: string;
  readonly reason: string;
  readonly error?: KtError | undefined;
}

export interface ContainerEnvironment {
  readonly variables: readonly Variable[];
  readonly unknown: readonly Unknown[];
  /** Names that the container has and that were not wanted. */
  readonly refused: readonly string[];
  /** What the template names and is not there, in sentences; the pod would not start. */
  readonly missing: readonly string[];
}

export interface EnvironmentOptions {
  readonly workload: Workload;
  readonly sources: ConfigSources;
  readonly pod: PodIdentity;
  /** Service links; empty where they are turned off. */
  readonly links: ReadonlyMap<string, string>;
  /** Is this variable asked for? What is not is not looked up either. */
  readonly wanted: (name: string) => boolean;
  /** What the laptop has, for `$(NAME)` of a variable that may not be read. */
  readonly laptop: NodeJS.ProcessEnv;
}

/** Rejects with what the connection to the API server ended with. */
export async function containerEnvironment(options: EnvironmentOptions): Promise<ContainerEnvironment> {
  const { workload, sources, links, wanted } = options;
  const { env = [], envFrom = [] } = workload.container;
  // All at once: each is a round trip.
  const whole = await Promise.all(
    envFrom.map(async ({ prefix = '', configMapRef, secretRef }) => {
      const kind: ConfigKind = secretRef ? 'Secret' : 'ConfigMap';
      const { name = '', optional = false } = secretRef ?? configMapRef ?? {};
      return { prefix, kind, name, optional, found: await sources.read(kind, name) };
    }),
  );
  const single = await Promise.all(env.map((one) => lookUp(one, options)));

  const variables = new Map<string, Variable>();
  const unknown: Unknown[] = [];
  const missing: string[] = [];
  const refused = new Set(env.filter(({ name }) => !wanted(name)).map(({ name }) => name));
  for (const [name, value] of links)
    if (wanted(name)) variables.set(name, { name, value, from: 'service', secret: false });
  for (const { prefix, kind, name, optional, found } of whole) {
    if (found.state === 'forbidden') {
      unknown.push({ name: `${prefix}*`, reason: `all keys of the ${kind} '${name}'`, error: found.error });
    } else if (found.state === 'missing') {
      if (!optional) missing.push(`the ${kind} '${name}' (envFrom)`);
    } else {
      for (const [key, value] of found.data) {
        const variable = prefix + key;
        if (!isName(variable)) continue;
        if (!wanted(variable)) {
          refused.add(variable);
          continue;
        }
        const entry = { name: variable, value: value.toString('utf8'), from: `${kind} ${name}` };
        variables.set(variable, { ...entry, secret: kind === 'Secret' });
      }
    }
  }
  for (const answer of single) {
    if (answer === undefined) continue;
    if (answer.kind === 'missing') missing.push(answer.what);
    else if (answer.kind === 'unknown') unknown.push(answer.unknown);
    else if (answer.kind === 'variable') variables.set(answer.variable.name, answer.variable);
    else {
      const expanded = expandLiteral(answer.name, answer.text, variables, options, unknown);
      if (expanded) variables.set(answer.name, expanded);
      else variables.delete(answer.name);
    }
  }
  return { variables: [...variables.values()], unknown, refused: [...refused], missing };
}

type LookedUp =
  | { readonly kind: 'variable'; readonly variable: Variable }
  | { readonly kind: 'literal'; readonly name: string; readonly text: string }
  | { readonly kind: 'missing'; readonly what: string }
  | { readonly kind: 'unknown'; readonly unknown: Unknown };

/** undefined: an optional one that is not there, or one that is not asked for. */
async function lookUp(
  { name, value, valueFrom }: EnvVariable,
  { workload, sources, pod, wanted }: EnvironmentOptions,
): Promise<LookedUp | undefined> {
  if (!wanted(name)) return undefined;
  if (!valueFrom) return { kind: 'literal', name, text: value ?? '' };
  const { configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef } = valueFrom;
  if (configMapKeyRef ?? secretKeyRef) {
    const reference = (secretKeyRef ?? configMapKeyRef) as KeyReference;
    const kind: ConfigKind = secretKeyRef ? 'Secret' : 'ConfigMap';
    return fromKey(name, kind, reference, await sources.read(kind, reference.name ?? ''));
  }
  const found = fieldRef
    ? fieldValue(fieldRef.fieldPath, workload.template, pod)
    : resourceFieldRef && resourceValue(resourceFieldRef, workload.container);
  if (found !== undefined) return { kind: 'variable', variable: { name, value: found, from: 'pod', secret: false } };
  const what = fieldRef?.fieldPath ?? resourceFieldRef?.resource ?? 'a source that kt does not know';
  return { kind: 'unknown', unknown: { name, reason: `${what} is not known outside of a pod` } };
}

function fromKey(name: string, kind: ConfigKind, reference: KeyReference, found: Found): LookedUp | undefined {
  const from = `${kind} ${reference.name ?? ''}`;
  const what = `key '${reference.key}' of the ${kind} '${reference.name ?? ''}'`;
  if (found.state === 'forbidden') return { kind: 'unknown', unknown: { name, reason: what, error: found.error } };
  const value = found.state === 'found' ? found.data.get(reference.key) : undefined;
  if (value !== undefined) {
    return { kind: 'variable', variable: { name, value: value.toString('utf8'), from, secret: kind === 'Secret' } };
  }
  if (reference.optional) return undefined;
  return {
    kind: 'missing',
    what: found.state === 'missing' ? `the ${kind} '${reference.name ?? ''}' (${name})` : `${what} (${name})`,
  };
}

/** `$(NAME)` sees what was set before it. One that could not be read is the laptop's, where the user has set it there. */
function expandLiteral(
  name: string,
  text: string,
  before: ReadonlyMap<string, Variable>,
  { laptop }: EnvironmentOptions,
  unknown: Unknown[],
): Variable | undefined {
  const hidden = new Set(unknown.map((one) => one.name));
  const lost = references(text).find((one) => !before.has(one) && hidden.has(one) && laptop[one] === undefined);
  if (lost !== undefined) {
    unknown.push({ name, reason: `it is made of ${lost}` });
    return undefined;
  }
  const fallback = (one: string): string | undefined => (hidden.has(one) ? laptop[one] : undefined);
  const value = expand(text, (one) => before.get(one)?.value ?? fallback(one));
  const secret = references(text).some((one) => before.get(one)?.secret === true || hidden.has(one));
  return { name, value, secret };
}

/** As Kubernetes 1.34 takes them: any printable ASCII but `=`. */
function isName(name: string): boolean {
  return /^[ -<>-~]+$/.test(name);
}
