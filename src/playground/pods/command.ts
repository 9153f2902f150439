// From a container's spec to the command line, environment and stdin of a Node process on this machine. Pure, but for the values that it
// looks up (config maps, secrets). Errors are the kubelet's: the reason and message of a container that waits. Used by pods/container.ts.
import { CONFIG_MAPS, SECRETS } from '../api/resources.ts';
import type { Store } from '../store.ts';
import type { ConfigData, Container, EnvVar, Pod } from '../types.ts';

/**
 * Longer values travel in a file and on stdin. Windows limits a command line and each variable to 32,767 characters, Linux each
 * string to 131,072 bytes; kt's agent has about 100 KB of code in its pod spec.
 */
export const INLINE_MAX = 8 * 1024;

export class StartError extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface Command {
  /** After the node binary. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Variables that are too long for a real environment. */
  readonly longEnv: Readonly<Record<string, string>>;
  /** Code to give on stdin, where `-e CODE` was too long. */
  readonly stdin: string | undefined;
}

/** `node`, `node:24-slim`, `docker.io/library/node:22`, `registry.corp/hub/node@sha256:...`: what the playground can run. */
export function isNodeImage(image: string): boolean {
  return /(^|\/)node([:@][^/]*)?$/.test(image);
}

/** `$(NAME)` is replaced where the variable is known, `$$` is a dollar (Kubernetes' own expansion). */
export function expand(text: string, known: Readonly<Record<string, string>>): string {
  return text.replace(/\$(\$|\(([^()\s]+)\))/g, (whole, what: string, name?: string) => {
    if (what === '$') return '$';
    return name !== undefined && Object.hasOwn(known, name) ? (known[name] ?? '') : whole;
  });
}

function fieldOf(pod: Pod, ip: string, path: string): string {
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed !== null) return pod.metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2] ?? ''] ?? '';
  const values: Record<string, string | undefined> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'spec.nodeName': pod.spec.nodeName,
    'spec.serviceAccountName': 'default',
    'status.podIP': ip,
    'status.podIPs': ip,
    'status.hostIP': '127.0.0.1',
  };
  return (Object.hasOwn(values, path) ? values[path] : undefined) ?? '';
}

function valuesOf(object: ConfigData | undefined, secret: boolean): Readonly<Record<string, string>> {
  const data = object?.data ?? {};
  if (!secret) return data;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  );
}

class Environment {
  readonly #store: Store;
  readonly #pod: Pod;
  readonly #ip: string;
  readonly values: Record<string, string> = {};

  constructor(store: Store, pod: Pod, ip: string) {
    this.#store = store;
    this.#pod = pod;
    this.#ip = ip;
  }

  addAll(sources: Container['envFrom']): void {
    for (const source of sources ?? []) {
      const ref = source.configMapRef ?? source.secretRef;
      if (ref === undefined) continue;
      const values = this.#data(
        source.secretRef !== undefined,
        ref.name,
        (ref as { optional?: boolean }).optional === true,
      );
      for (const [key, value] of Object.entries(values)) this.values[(source.prefix ?? '') + key] = value;
    }
  }

  add(variable: EnvVar): void {
    const from = variable.valueFrom;
    if (from?.fieldRef !== undefined)
      this.values[variable.name] = fieldOf(this.#pod, this.#ip, from.fieldRef.fieldPath);
    else if (from?.configMapKeyRef !== undefined) this.#addKey(variable.name, false, from.configMapKeyRef);
    else if (from?.secretKeyRef !== undefined) this.#addKey(variable.name, true, from.secretKeyRef);
    else this.values[variable.name] = expand(variable.value ?? '', this.values);
  }

  #addKey(name: string, secret: boolean, ref: { name: string; key: string; optional?: boolean }): void {
    const data = this.#data(secret, ref.name, ref.optional === true);
    const value = Object.hasOwn(data, ref.key) ? data[ref.key] : undefined;
    if (value !== undefined) this.values[name] = value;
    else if (ref.optional !== true) {
      const kind = secret ? 'Secret' : 'ConfigMap';
      const where = `${this.#pod.metadata.namespace ?? ''}/${ref.name}`;
      throw new StartError('CreateContainerConfigError', `couldn't find key ${ref.key} in ${kind} ${where}`);
    }
  }

  #data(secret: boolean, name: string, optional: boolean): Readonly<Record<string, string>> {
    const object = this.#store.get(secret ? SECRETS : CONFIG_MAPS, this.#pod.metadata.namespace, name);
    if (object === undefined && !optional)
      throw new StartError('CreateContainerConfigError', `${secret ? 'secret' : 'configmap'} "${name}" not found`);
    return valuesOf(object, secret);
  }
}

/** The arguments after `node`, following the entrypoint of the official image: what is no program is given to node. */
function nodeArguments(container: Container, known: Readonly<Record<string, string>>): string[] {
  const command = (container.command ?? []).map((part) => expand(part, known));
  const args = (container.args ?? []).map((part) => expand(part, known));
  const [program = 'node', ...rest] = command.length > 0 ? [...command, ...args] : args;
  if (/^(.*\/)?node(js)?$/.test(program)) return rest;
  if (command.length === 0 && (program.startsWith('-') || /\.[cm]?js$/.test(program))) return [program, ...rest];
  throw new StartError(
    'RunContainerError',
    `failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "${program}": executable file not found in $PATH (the playground has node only)`,
  );
}

/** Long code goes to stdin: `node --flag -e CODE a` becomes `node --flag - a`. The preload puts argv right again. */
function codeToStdin(args: readonly string[]): { args: readonly string[]; stdin: string | undefined } {
  const at = args.findIndex((arg) => arg === '-e' || arg === '--eval');
  const first = args.findIndex((arg) => !arg.startsWith('-'));
  const code = args[at + 1];
  if (at < 0 || code === undefined || code.length <= INLINE_MAX || (first >= 0 && first < at))
    return { args, stdin: undefined };
  return { args: [...args.slice(0, at), '-', ...args.slice(at + 2)], stdin: code };
}

/** Throws StartError. `mounts` are pairs of a path in the container and the folder on this machine that stands for it. */
export function commandOf(
  store: Store,
  pod: Pod,
  container: Container,
  ip: string,
  mounts: readonly (readonly [string, string])[],
): Command {
  const environment = new Environment(store, pod, ip);
  environment.addAll(container.envFrom);
  for (const variable of container.env ?? []) environment.add(variable);
  const mapped = (text: string): string => {
    const mount = mounts.find(([path]) => text === path || text.startsWith(`${path.replace(/\/$/, '')}/`));
    return mount === undefined ? text : mount[1] + text.slice(mount[0].replace(/\/$/, '').length);
  };
  const { args, stdin } = codeToStdin(nodeArguments(container, environment.values).map(mapped));
  if (stdin === undefined && args.join(' ').length > INLINE_MAX * 3)
    throw new StartError(
      'RunContainerError',
      'argument list too long for the playground: give the code by -e or in variables',
    );
  const entries = Object.entries(environment.values).map(([name, value]): [string, string] => [name, mapped(value)]);
  return {
    args,
    env: Object.fromEntries(entries.filter(([, value]) => value.length <= INLINE_MAX)),
    longEnv: Object.fromEntries(entries.filter(([, value]) => value.length > INLINE_MAX)),
    stdin,
  };
}
