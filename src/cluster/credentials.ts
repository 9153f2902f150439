// Who the user is, to the API server: header fields and a client certificate, read anew for every request and every link, so
// that rotated files and tokens take effect. Not the plugin that makes some of them (exec-plugin.ts). Made by config.ts; used by rest.ts.
import { readFile } from 'node:fs/promises';
import { checkExec, type PluginCredentials } from './exec-credential.codec.ts';
import { type ExecPlugin, type ExecPluginOptions, execPlugin } from './exec-plugin.ts';
import { impersonation } from './impersonation.ts';
import { invalid, type Sourced } from './kubeconfig.ts';
import type { AuthInfo } from './kubeconfig-schema.ts';

export interface Credentials {
  /** Authorization and Impersonate-* fields. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** PEM. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  /** What the plugin gave, as it gave it. */
  readonly plugin?: PluginCredentials | undefined;
}

export interface CredentialSource {
  /** Rejects with KUBECONFIG_INVALID (a file that can't be read), CREDENTIALS_PLUGIN or CANCELLED. May wait for a person who logs in. */
  current(signal?: AbortSignal): Promise<Credentials>;
  /** The API server answered 401 to these. True: `current` may have better ones now, so asking once more makes sense. */
  rejected(credentials: Credentials): boolean;
}

export interface SourceOptions {
  readonly user: Sourced<AuthInfo>;
  /** Makes a path of the user's file absolute. */
  readonly resolve: (path: string) => string;
  /** For a plugin that wants to know about the cluster. */
  readonly cluster: object;
  readonly env: NodeJS.ProcessEnv;
  readonly terminal: boolean;
}

/** Throws KUBECONFIG_INVALID where the user's fields contradict each other. */
export function credentialSource(options: SourceOptions): CredentialSource {
  const { user, resolve } = options;
  const where = `${user.file}: the user '${user.name}'`;
  checkUser(user.value, where);
  const plugin = pluginOf(options, where);
  return {
    async current(signal) {
      const { certificate, key, authorization } = await fromFiles(user.value, resolve, where);
      const headers = { ...impersonation(user.value), ...(authorization ? { Authorization: authorization } : {}) };
      // A token or password of the user's own counts more than a plugin.
      if (!plugin || authorization) return { headers, certificate, key };
      const made = await plugin.current(signal);
      const bearer = made.token ? { Authorization: `Bearer ${made.token}` } : {};
      const pair = made.certificate ? { certificate: made.certificate, key: made.key } : { certificate, key };
      return { headers: { ...headers, ...bearer }, ...pair, plugin: made };
    },
    rejected: ({ plugin: made }) => plugin !== undefined && made !== undefined && plugin.rejected(made),
  };
}

const LEGACY_HINTS: Readonly<Record<string, string>> = {
  gcp: 'install gke-gcloud-auth-plugin and run `gcloud container clusters get-credentials`',
  azure: 'install kubelogin and run `kubelogin convert-kubeconfig`',
  oidc: 'use the exec plugin `kubectl oidc-login` (int128/kubelogin)',
};

/** As client-go's validateAuthInfo. */
function checkUser(user: AuthInfo, where: string): void {
  const legacy = user['auth-provider'];
  if (legacy) {
    const name = legacy.name ?? '';
    throw invalid(
      `${where} has the auth-provider '${name}', which kt does not know`,
      undefined,
      LEGACY_HINTS[name] ?? 'use an exec plugin instead',
    );
  }
  if (user.token && (user.username || user.password))
    throw invalid(`${where} has a token and a password; only one can count`);
  for (const kind of ['client-certificate', 'client-key'] as const) {
    const other = kind === 'client-key' ? 'client-certificate' : 'client-key';
    if ((user[kind] || user[`${kind}-data`]) && !user[other] && !user[`${other}-data`]) {
      throw invalid(`${where} has a ${kind} but no ${other}`);
    }
  }
  if (!user.as && (user['as-uid'] || user['as-groups']?.length || user['as-user-extra'])) {
    throw invalid(`${where} has as-uid, as-groups or as-user-extra but no 'as'`);
  }
}

async function fromFiles(
  user: AuthInfo,
  resolve: (path: string) => string,
  where: string,
): Promise<{ certificate?: string | undefined; key?: string | undefined; authorization?: string | undefined }> {
  const read = async (field: 'client-certificate' | 'client-key' | 'tokenFile', path: string): Promise<string> => {
    try {
      return await readFile(resolve(path), 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw invalid(`${where}: ${field} can't be read: ${resolve(path)} (${code})`, error);
    }
  };
  const pem = async (field: 'client-certificate' | 'client-key'): Promise<string | undefined> => {
    const path = user[field];
    return user[`${field}-data`] || (path ? read(field, path) : undefined);
  };
  const token = async (): Promise<string | undefined> => {
    if (!user.tokenFile) return user.token;
    // The file's token counts as long as it can be read; the other one is what it was before.
    const inFile = read('tokenFile', user.tokenFile).then((text) => text.trim());
    return (user.token ? inFile.catch(() => '') : inFile).then((text) => text || user.token);
  };
  const [certificate, key, bearer] = await Promise.all([pem('client-certificate'), pem('client-key'), token()]);
  const basic = user.username || user.password ? `${user.username ?? ''}:${user.password ?? ''}` : undefined;
  const authorization = bearer ? `Bearer ${bearer}` : basic && `Basic ${Buffer.from(basic).toString('base64')}`;
  return { certificate, key, authorization };
}

function pluginOf({ user, resolve, cluster, env, terminal }: SourceOptions, where: string): ExecPlugin | undefined {
  if (!user.value.exec) return undefined;
  const checked = checkExec(user.value.exec, where);
  // A command with a folder belongs to the file, one without is searched in PATH.
  const command = /[/\\]/.test(checked.command) ? resolve(checked.command) : checked.command;
  const options: ExecPluginOptions = {
    user: user.name,
    exec: { ...checked, command },
    cluster: checked.provideClusterInfo ? cluster : undefined,
    env,
    terminal,
  };
  return execPlugin(options);
}
