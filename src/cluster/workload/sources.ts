// Reads the ConfigMaps and Secrets that a pod template names, each once. That one is missing or may not be read is an answer here, not
// an error: what it means depends on who asks (environment.ts, volumes.ts).
import { asKtError, type KtError } from '../../errors.ts';
import { configMapPath, secretPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';

/** Keys with their bytes. */
export type ConfigData = ReadonlyMap<string, Buffer>;

export type Found =
  | { readonly state: 'found'; readonly data: ConfigData }
  | { readonly state: 'missing' }
  /** `error` names the right that is missing. */
  | { readonly state: 'forbidden'; readonly error: KtError };

export type ConfigKind = 'ConfigMap' | 'Secret';

interface ConfigObject {
  readonly data?: Readonly<Record<string, string>> | null;
  readonly binaryData?: Readonly<Record<string, string>> | null;
}

export class ConfigSources {
  readonly #api: ClusterApi;
  readonly #namespace: string;
  readonly #signal: AbortSignal | undefined;
  readonly #found = new Map<string, Promise<Found>>();

  constructor(api: ClusterApi, namespace: string, signal?: AbortSignal) {
    this.#api = api;
    this.#namespace = namespace;
    this.#signal = signal;
  }

  /** Rejects only with what is neither "missing" nor "no right": a connection that failed, say. */
  read(kind: ConfigKind, name: string): Promise<Found> {
    const key = `${kind}/${name}`;
    const known = this.#found.get(key) ?? this.#read(kind, name);
    this.#found.set(key, known);
    return known;
  }

  async #read(kind: ConfigKind, name: string): Promise<Found> {
    try {
      const path = kind === 'Secret' ? secretPath(this.#namespace, name) : configMapPath(this.#namespace, name);
      const object = await this.#api.request<ConfigObject>('GET', path, { signal: this.#signal });
      // A Secret's data is base64; of a ConfigMap only binaryData is.
      const text = kind === 'Secret' ? 'base64' : 'utf8';
      return {
        state: 'found',
        data: new Map([
          ...Object.entries(object.data ?? {}).map(([id, value]) => [id, Buffer.from(value, text)] as const),
          ...Object.entries(object.binaryData ?? {}).map(([id, value]) => [id, Buffer.from(value, 'base64')] as const),
        ]),
      };
    } catch (error) {
      if (statusCode(error) === 404) return { state: 'missing' };
      const known = asKtError(error);
      if (known.code === 'RIGHTS_MISSING') return { state: 'forbidden', error: known };
      throw known;
    }
  }
}
