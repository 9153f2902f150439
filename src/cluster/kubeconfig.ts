// Kubeconfig files as kubectl understands them: parse one, merge several, choose a context. Pure: reads no file and no variable.
// Not the credentials in use (credentials.ts), not where the files are (config.ts). Called by config.ts.
// Source: k8s.io/client-go tools/clientcmd (loader.go, client_config.go, validation.go) and api/v1/types.go.
import { isScalar, LineCounter, parse, parseDocument, visit } from 'yaml';
import { KtError } from '../errors.ts';
import {
  type AuthInfo,
  type Cluster,
  type Context,
  kubeconfigSchema,
  type NamedExtension,
  validate,
} from './kubeconfig-schema.ts';

/** An entry and the file it came from, to which its relative paths belong. */
export interface Sourced<T> {
  readonly name: string;
  readonly file: string;
  readonly value: T;
}

export interface Kubeconfig {
  readonly currentContext: string | undefined;
  readonly contexts: ReadonlyMap<string, Sourced<Context>>;
  readonly clusters: ReadonlyMap<string, Sourced<Cluster>>;
  readonly users: ReadonlyMap<string, Sourced<AuthInfo>>;
}

/** Parses one file. Throws KUBECONFIG_INVALID with the file, line and field; never with the file's text, which holds secrets. */
export function parseKubeconfig(text: string, file: string): Kubeconfig {
  const lines = new LineCounter();
  // `failsafe` leaves every scalar a string, as Go's typed decoder does: `token: 12345` is text, `yes` is left to the field.
  const document = parseDocument(text, { schema: 'failsafe', lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => `${file}:${lines.linePos(offset).line}`;
  const [mistake] = document.errors;
  if (mistake) throw invalid(`${at(mistake.pos[0])}: not YAML: ${mistake.message}`);
  visit(document, {
    Pair(_, { value }) {
      if (isScalar(value) && value.type === 'PLAIN' && /^(?:|~|null|Null|NULL)$/.test(value.source ?? ''))
        return visit.REMOVE;
      return undefined;
    },
  });
  const lineOf = (path: readonly (string | number)[]): string => {
    for (let length = path.length; length > 0; length -= 1) {
      const node = document.getIn(path.slice(0, length), true) as { range?: readonly number[] } | undefined;
      if (node?.range) return at(node.range[0] ?? 0);
    }
    return file;
  };
  // An empty file is an empty configuration.
  const result = validate(kubeconfigSchema, plainValue(document, file) || {});
  if ('issue' in result) throw invalid(`${lineOf(result.path)}: ${fieldName(result.path)}: ${result.issue}`);
  const { output } = result;
  const named = <T>(list: 'contexts' | 'clusters' | 'users', entries: readonly { name: string; value: T }[]) => {
    const map = new Map<string, Sourced<T>>();
    for (const [index, { name, value }] of entries.entries()) {
      if (map.has(name)) throw invalid(`${lineOf([list, index])}: ${list}: the name '${name}' occurs twice`);
      map.set(name, { name, file, value });
    }
    return map;
  };
  const clusters = output.clusters.map(({ name, cluster }, index) => ({
    name,
    value: cluster.extensions.length > 0 ? { ...cluster, extensions: typedExtensions(text, index) } : cluster,
  }));
  return {
    currentContext: output['current-context'] || undefined,
    contexts: named(
      'contexts',
      output.contexts.map(({ name, context }) => ({ name, value: context })),
    ),
    clusters: named('clusters', clusters),
    users: named(
      'users',
      output.users.map(({ name, user }) => ({ name, value: user ?? {} })),
    ),
  };
}

/** Aliases that lead nowhere, or multiply, show only here. */
function plainValue(document: { toJS(): unknown }, file: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw invalid(`${file}: not YAML: ${(error as Error).message}`, error);
  }
}

/** What a plugin is given of its cluster is JSON with types, so this part is read again with them. */
function typedExtensions(text: string, cluster: number): NamedExtension[] {
  const typed = parse(text, { prettyErrors: false }) as {
    clusters?: { cluster?: { extensions?: NamedExtension[] } }[];
  };
  return typed.clusters?.[cluster]?.cluster?.extensions ?? [];
}

/** `users[0].user.exec.command`. */
function fieldName(path: readonly (string | number)[]): string {
  return (
    path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('') ||
    'the document'
  );
}

/** The first file that sets a name, or the current context, wins; entries of one name are not mixed. */
export function mergeKubeconfigs(files: readonly Kubeconfig[]): Kubeconfig {
  const first = <T>(of: (file: Kubeconfig) => ReadonlyMap<string, T>): Map<string, T> =>
    new Map([...files].reverse().flatMap((file) => [...of(file)]));
  return {
    currentContext: files.find((file) => file.currentContext)?.currentContext,
    contexts: first((file) => file.contexts),
    clusters: first((file) => file.clusters),
    users: first((file) => file.users),
  };
}

export interface Selection {
  readonly context: string;
  readonly namespace: string;
  readonly cluster: Sourced<Cluster>;
  readonly user: Sourced<AuthInfo>;
}

/** The context that counts, with its cluster and user. `files` names where it was looked for, in errors. */
export function selectContext(
  kubeconfig: Kubeconfig,
  wanted: { readonly context?: string | undefined; readonly namespace?: string | undefined },
  files: string,
): Selection {
  const known = [...kubeconfig.contexts.keys()].sort();
  const list =
    known.length > 0 ? `contexts there: ${known.slice(0, 20).join(', ')}` : `there is no context in ${files}`;
  const name = wanted.context ?? kubeconfig.currentContext;
  if (name === undefined) {
    throw new KtError('KUBECONFIG_INVALID', `${files} names no current-context`, {
      hint: `choose one with --context; ${list}`,
    });
  }
  const context = kubeconfig.contexts.get(name);
  if (!context) throw new KtError('KUBECONFIG_INVALID', `no context '${name}' in ${files}`, { hint: list });
  const entry = <T>(kind: 'cluster' | 'user', entries: ReadonlyMap<string, Sourced<T>>): Sourced<T> => {
    const reference = context.value[kind] ?? '';
    const found = entries.get(reference);
    if (found) return found;
    const problem = reference === '' ? `names no ${kind}` : `names the ${kind} '${reference}', which is not there`;
    throw invalid(`${context.file}: the context '${name}' ${problem}`);
  };
  const cluster = entry('cluster', kubeconfig.clusters);
  // kubectl takes a context without a user as "no credentials".
  const user = context.value.user ? entry('user', kubeconfig.users) : { name: '', file: context.file, value: {} };
  return { context: name, namespace: wanted.namespace || context.value.namespace || 'default', cluster, user };
}

export function invalid(message: string, cause?: unknown, hint?: string): KtError {
  return new KtError('KUBECONFIG_INVALID', message, {
    hint: hint ?? '`kubectl config view` shows what kubectl makes of it',
    ...(cause === undefined ? {} : { cause }),
  });
}
