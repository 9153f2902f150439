// Is a name the cluster's? By its suffix for sure; by the Services that are known; else by its look, which is a guess: the cluster is
// asked first, and the laptop's own way is taken where it does not know the name. Pure; used by router.ts.

/**
 * A two-label name that ends so, or in a country code, is a host of the internet or of the company. Not the newer top-level domains:
 * `dev`, `app`, `shop` are namespaces as often, and to ask the cluster first costs one question.
 */
const PUBLIC = new Set([
  'com',
  'net',
  'org',
  'edu',
  'gov',
  'mil',
  'int',
  'info',
  'biz',
  'arpa',
  'local',
  'localdomain',
  'lan',
  'home',
  'internal',
  'intranet',
  'corp',
]);

const isPublic = (label: string): boolean => PUBLIC.has(label) || /^[a-z]{2}$/.test(label);

export interface KnownNames {
  readonly clusterDomain: string;
  /** The session's namespace and others that were seen. */
  readonly namespaces: ReadonlySet<string>;
  /** Names of Services of the session's namespace; undefined while or where they can't be listed. */
  readonly services: ReadonlySet<string> | undefined;
}

export type Verdict = { readonly cluster: 'yes' | 'guess' | 'no'; readonly rule: string };

/** `name`: lower case, without a final dot, not an address. */
export function judgeName(name: string, known: KnownNames): Verdict {
  const { clusterDomain, namespaces, services } = known;
  if (name === clusterDomain || name.endsWith(`.${clusterDomain}`))
    return { cluster: 'yes', rule: `ends in .${clusterDomain}` };
  if (name.endsWith('.svc')) return { cluster: 'yes', rule: 'ends in .svc' };
  const [first = '', second, third, ...rest] = name.split('.');
  if (second === undefined) {
    if (services?.has(first)) return { cluster: 'yes', rule: `${first} is a Service of the namespace` };
    return { cluster: 'guess', rule: 'a name without a dot: the cluster is asked first' };
  }
  if (third !== undefined) {
    // pod.service.namespace; four labels and more are no short form of the cluster's.
    if (rest.length > 0 || isPublic(third)) return { cluster: 'no', rule: 'no name of the cluster' };
    if (namespaces.has(third)) return { cluster: 'yes', rule: `${third} is a namespace` };
    return { cluster: 'guess', rule: `.${third} is no public domain: the cluster is asked first` };
  }
  if (services?.has(first) && namespaces.has(second))
    return { cluster: 'yes', rule: `${first} is a Service of ${second}` };
  if (services?.has(second)) return { cluster: 'yes', rule: `${second} is a Service of the namespace` };
  if (namespaces.has(second) && !isPublic(second)) return { cluster: 'yes', rule: `${second} is a namespace` };
  // A namespace may be called as a public domain is: then the cluster is asked first, too.
  if (namespaces.has(second)) return { cluster: 'guess', rule: `${second} is a namespace: the cluster is asked first` };
  if (!isPublic(second))
    return { cluster: 'guess', rule: `.${second} is no public domain: the cluster is asked first` };
  return { cluster: 'no', rule: 'no name of the cluster' };
}
