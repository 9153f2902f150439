// The fields of a kubeconfig that count, with their types; unknown ones are left alone, as kubectl does. Only shapes:
// what belongs together is checked where it is used. Called by kubeconfig.ts, whose parser makes every scalar a string
// and leaves fields out that are null.
// Source: k8s.io/client-go tools/clientcmd/api/v1/types.go, with the names of the file's fields kept.
import * as v from 'valibot';

const string = v.string('must be text');
const text = v.optional(string);
/** What YAML 1.1, and so kubectl, takes as a boolean. */
const flag = v.optional(
  v.pipe(
    v.string('must be true or false'),
    v.toLowerCase(),
    v.picklist(['true', 'false', 'yes', 'no', 'on', 'off', 'y', 'n'], 'must be true or false'),
    v.transform((word) => ['true', 'yes', 'on', 'y'].includes(word)),
  ),
);
/** PEM text inside of base64. */
const base64 = v.optional(
  v.pipe(
    string,
    v.transform((encoded) => encoded.replace(/\s/g, '')),
    v.regex(/^[A-Za-z0-9+/]*={0,2}$/, 'is not base64'),
    v.check((encoded) => encoded.length % 4 === 0, 'is not base64'),
    v.transform((encoded) => Buffer.from(encoded, 'base64').toString('utf8')),
  ),
);
const listOf = <T extends v.GenericSchema>(schema: T) => v.optional(v.array(schema, 'must be a list'), []);
const mapping = <T extends v.ObjectEntries>(entries: T) =>
  v.object(entries, (issue) => (issue.received === 'undefined' ? 'is missing' : 'must be a mapping'));
const name = v.pipe(v.string('must be a name'), v.minLength(1, 'must not be empty'));

const extensionSchema = mapping({ name, extension: v.optional(v.unknown()) });

const execSchema = mapping({
  apiVersion: text,
  command: text,
  args: listOf(string),
  env: listOf(mapping({ name: string, value: v.optional(string, '') })),
  installHint: text,
  provideClusterInfo: flag,
  interactiveMode: text,
});

const clusterSchema = mapping({
  server: text,
  'tls-server-name': text,
  'insecure-skip-tls-verify': flag,
  'certificate-authority': text,
  'certificate-authority-data': base64,
  'proxy-url': text,
  extensions: listOf(extensionSchema),
});

const userSchema = mapping({
  'client-certificate': text,
  'client-certificate-data': base64,
  'client-key': text,
  'client-key-data': base64,
  token: text,
  tokenFile: text,
  username: text,
  password: text,
  as: text,
  'as-uid': text,
  'as-groups': listOf(string),
  'as-user-extra': v.optional(v.record(v.string(), v.array(string, 'must be a list'), 'must be a mapping')),
  'auth-provider': v.optional(mapping({ name: text })),
  exec: v.optional(execSchema),
});

const contextSchema = mapping({ cluster: text, user: text, namespace: text });

export const kubeconfigSchema = mapping({
  'current-context': text,
  contexts: listOf(mapping({ name, context: contextSchema })),
  clusters: listOf(mapping({ name, cluster: clusterSchema })),
  users: listOf(mapping({ name, user: v.optional(userSchema) })),
});

export type NamedExtension = v.InferOutput<typeof extensionSchema>;
export type ExecConfig = v.InferOutput<typeof execSchema>;
export type Cluster = v.InferOutput<typeof clusterSchema>;
export type AuthInfo = Partial<v.InferOutput<typeof userSchema>>;
export type Context = v.InferOutput<typeof contextSchema>;

type Validated<T> = { readonly output: T } | { readonly issue: string; readonly path: readonly (string | number)[] };

/** The value, or the first thing that is wrong with it and where. Messages never hold the value: it may be a secret. */
export function validate<T extends v.GenericSchema>(schema: T, value: unknown): Validated<v.InferOutput<T>> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return { output: result.output };
  const [issue] = result.issues;
  return { issue: issue.message, path: (issue.path ?? []).map((item) => item.key as string | number) };
}
