// Finds the kubeconfig as kubectl does and makes of it what a connection needs: server, trust, proxy, credentials, namespace.
// Not the format (kubeconfig.ts). Called by session/cluster.ts and by commands that ask the API without a session.
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, resolve as resolvePath } from 'node:path';
import { isatty } from 'node:tty';
import { KtError } from '../errors.ts';
import { type CredentialSource, credentialSource, type SourceOptions } from './credentials.ts';
import {
  invalid,
  type Kubeconfig,
  mergeKubeconfigs,
  parseKubeconfig,
  type Selection,
  type Sourced,
  selectContext,
} from './kubeconfig.ts';
import type { Cluster } from './kubeconfig-schema.ts';
import { apiProxy } from './proxy.ts';
import type { Way } from './ways/names.ts';

export interface ClusterConfig {
  /** Origin and path prefix of the API server, without a slash at the end. */
  readonly server: string;
  readonly namespace: string;
  /** Names in the kubeconfig, for people. */
  readonly context: string;
  readonly user: string;
  readonly tls: TlsSettings;
  /** The HTTP proxy on the way to the API server. May hold a password: never print it. */
  readonly proxy: URL | undefined;
  readonly credentials: CredentialSource;
  /** The only way into pods that is tried; undefined: all, in order. */
  readonly transport?: Way | undefined;
}

export interface TlsSettings {
  /** PEM; undefined: what this machine trusts. */
  readonly ca: string | undefined;
  /** Name to ask for and to check, instead of the server's host. */
  readonly serverName: string | undefined;
  readonly insecure: boolean;
}

export interface ConfigOptions {
  /** One file, instead of KUBECONFIG and ~/.kube/config. It must exist. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly namespace?: string | undefined;
  readonly transport?: Way | undefined;
  /** A PAC file, or its URL: it names the proxy where the kubeconfig names none, and HTTPS_PROXY does not count then. */
  readonly pac?: string | undefined;
  /** Ends the wait for a PAC file's answer. */
  readonly signal?: AbortSignal | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** A credentials plugin may ask the user on standard input. Default: where that is a terminal. */
  readonly terminal?: boolean | undefined;
}

/** Rejects with KUBECONFIG_MISSING or KUBECONFIG_INVALID, and API_PROXY for a PAC file. Runs no plugin, and opens a connection for that file only. */
export async function loadClusterConfig(options: ConfigOptions = {}): Promise<ClusterConfig> {
  const env = options.env ?? process.env;
  const files = kubeconfigFiles(options.kubeconfig, env);
  const selection = selectContext(await readAll(files), options, files.join(delimiter));
  const { cluster, user } = selection;
  const server = serverUrl(selection);
  const tls = await tlsSettings(selection);
  return {
    server,
    namespace: selection.namespace,
    context: selection.context,
    user: user.name,
    tls,
    transport: options.transport,
    proxy: await proxyOf(server, cluster, env, options),
    credentials: credentials(server, {
      user,
      resolve: (path) => besideFile(path, user.file),
      cluster: clusterInfo(cluster.value, server, tls),
      env,
      terminal: options.terminal ?? isatty(0),
    }),
  };
}

/** proxy-url of the kubeconfig, else what the PAC file says, else the environment. */
async function proxyOf(
  server: string,
  cluster: Sourced<Cluster>,
  env: NodeJS.ProcessEnv,
  { pac, signal }: ConfigOptions,
): Promise<URL | undefined> {
  if (!pac || cluster.value['proxy-url']) return apiProxy(server, cluster, env);
  const { pacProxy } = await import('./pac/pac-proxy.ts');
  return pacProxy(pac, server, signal);
}

/** The contexts that there are, with the namespace that each leads to. Rejects as loadClusterConfig does. */
export async function listContexts({
  kubeconfig,
  env = process.env,
}: Pick<ConfigOptions, 'kubeconfig' | 'env'>): Promise<{ readonly name: string; readonly namespace: string }[]> {
  const { contexts } = await readAll(kubeconfigFiles(kubeconfig, env));
  return [...contexts.values()].map(({ name, value }) => ({ name, namespace: value.namespace || 'default' }));
}

/** Over plain HTTP nothing of the user is sent or read, as for kubectl: everybody on the way could read it. */
function credentials(server: string, options: SourceOptions): CredentialSource {
  if (server.startsWith('https:')) return credentialSource(options);
  return { current: () => Promise.resolve({ headers: {} }), rejected: () => false };
}

/** `--kubeconfig`, else KUBECONFIG's list, else ~/.kube/config. */
export function kubeconfigFiles(explicit: string | undefined, env: NodeJS.ProcessEnv): string[] {
  if (explicit) return [resolvePath(explicit)];
  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  if (listed.length > 0) return [...new Set(listed)].map((path) => resolvePath(path));
  return [join(env['HOME'] || env['USERPROFILE'] || homedir(), '.kube', 'config')];
}

async function readAll(files: readonly string[]): Promise<Kubeconfig> {
  const found: Kubeconfig[] = [];
  for (const file of files) {
    try {
      found.push(parseKubeconfig(await readFile(file, 'utf8'), file));
    } catch (error) {
      if (error instanceof KtError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      // kubectl passes over files of the list that are not there.
      if (code !== 'ENOENT') throw invalid(`${file} can't be read (${code})`, error);
    }
  }
  if (found.length > 0) return mergeKubeconfigs(found);
  throw new KtError(
    'KUBECONFIG_MISSING',
    `no kubeconfig: ${files.join(', ')} ${files.length > 1 ? 'do' : 'does'} not exist`,
    {
      hint: 'name one with --kubeconfig or KUBECONFIG; who runs the cluster hands it out',
    },
  );
}

function besideFile(path: string, file: string): string {
  return isAbsolute(path) ? path : join(dirname(file), path);
}

/** As client-go's DefaultServerURL: without a scheme it is https where TLS is configured, else http. */
function serverUrl({ cluster: { name, file, value } }: Selection): string {
  const { server } = value;
  if (!server) throw invalid(`${file}: the cluster '${name}' names no server`);
  const tls =
    value['certificate-authority'] || value['certificate-authority-data'] || value['insecure-skip-tls-verify'];
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(server) ? server : `${tls ? 'https' : 'http'}://${server}`);
  if (!url || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw invalid(`${file}: the server of the cluster '${name}' is not an http(s) URL`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

async function tlsSettings({ cluster: { name, file, value } }: Selection): Promise<TlsSettings> {
  const insecure = value['insecure-skip-tls-verify'] ?? false;
  const path = value['certificate-authority'];
  let ca = value['certificate-authority-data'];
  if (!ca && path) {
    ca = await readFile(besideFile(path, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw invalid(
        `${file}: certificate-authority of the cluster '${name}' can't be read: ${besideFile(path, file)} (${error.code})`,
        error,
      );
    });
  }
  if (ca && insecure) {
    throw invalid(
      `${file}: the cluster '${name}' has a certificate authority and insecure-skip-tls-verify; only one makes sense`,
    );
  }
  if (ca) checkCertificate(ca, `${file}: certificate-authority of the cluster '${name}'`);
  return { ca: ca || undefined, serverName: value['tls-server-name'] || undefined, insecure };
}

/** OpenSSL passes over what it can't read, and then nothing is trusted. */
function checkCertificate(pem: string, what: string): void {
  try {
    void new X509Certificate(pem);
  } catch (error) {
    throw invalid(`${what} is not a PEM certificate`, error);
  }
}

/** `spec.cluster` of an ExecCredential: what a plugin that asks for it is told. */
function clusterInfo(cluster: Cluster, server: string, { ca, serverName, insecure }: TlsSettings): object {
  const extension = cluster.extensions.find(({ name }) => name === 'client.authentication.k8s.io/exec')?.extension;
  return {
    server,
    ...(serverName ? { 'tls-server-name': serverName } : {}),
    ...(insecure ? { 'insecure-skip-tls-verify': true } : {}),
    ...(ca ? { 'certificate-authority-data': Buffer.from(ca).toString('base64') } : {}),
    ...(cluster['proxy-url'] ? { 'proxy-url': cluster['proxy-url'] } : {}),
    ...(extension === undefined ? {} : { config: extension }),
  };
}
