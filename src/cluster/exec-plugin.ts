// Credentials from the program that a kubeconfig's user.exec names (aws, gke-gcloud-auth-plugin, kubelogin): run, read, kept until they expire.
// One run serves all who wait. The program's stderr is the user's. Called by credentials.ts; made by config.ts.
// Source: client-go plugin/pkg/client/auth/exec; https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
import type { Credentials } from './credentials.ts';

export interface PluginCredentials {
  readonly token?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export interface ExecPlugin {
  current(signal?: AbortSignal): Promise<PluginCredentials>;
  rejected(credentials: Credentials): boolean;
}
