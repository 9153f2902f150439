// One workload with what it refers to, for the user who asks: each ConfigMap and Secret is read once, also where variables and files
// are both wanted. Called by open.ts and live.ts.
import { servicePath } from '../../cluster/paths.ts';
import type { ClusterApi } from '../../cluster/rest.ts';
import type { Service } from '../../cluster/services.ts';
import { type ContainerEnvironment, containerEnvironment } from '../../cluster/workload/environment.ts';
import type { PodIdentity } from '../../cluster/workload/fields.ts';
import { findWorkload, type Workload, type WorkloadName } from '../../cluster/workload/find.ts';
import { podIdentity, serviceAccountTokens } from '../../cluster/workload/identity.ts';
import { serviceLinks } from '../../cluster/workload/service-links.ts';
import { ConfigSources } from '../../cluster/workload/sources.ts';
import { type TokenSource, type VolumeFiles, volumeFiles } from '../../cluster/workload/volumes.ts';
import type { EventSink } from '../../session/events.ts';
import { userName } from '../../session/who.ts';

export interface WorkloadContext {
  readonly api: ClusterApi;
  readonly namespace: string;
  /** The laptop's own environment. */
  readonly base: NodeJS.ProcessEnv;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
  /** Milliseconds between two looks at what the files are made of; for tests. */
  readonly refreshMs?: number | undefined;
}

export class Surroundings {
  readonly #workload: Workload;
  readonly #pod: PodIdentity;
  readonly #options: WorkloadContext;
  readonly #tokens: TokenSource;
  readonly #sources: ConfigSources;

  private constructor(workload: Workload, pod: PodIdentity, options: WorkloadContext) {
    const { api, namespace, signal } = options;
    const account = workload.template.spec?.serviceAccountName ?? 'default';
    this.#workload = workload;
    this.#pod = pod;
    this.#options = options;
    this.#tokens = serviceAccountTokens(api, namespace, account, signal);
    this.#sources = new ConfigSources(api, namespace, signal);
  }

  static async of(name: WorkloadName, container: string | undefined, options: WorkloadContext): Promise<Surroundings> {
    const { api, namespace, signal } = options;
    const workload = await findWorkload(api, namespace, name, container, signal);
    return new Surroundings(workload, await podIdentity(api, namespace, workload, userName(), signal), options);
  }

  get text(): string {
    return this.#workload.name.text;
  }

  get container(): string {
    return this.#workload.container.name;
  }

  async environment(wanted: (name: string) => boolean, links: boolean): Promise<ContainerEnvironment> {
    const { api, namespace, base, signal } = this.#options;
    const linked = links && this.#workload.template.spec?.enableServiceLinks !== false;
    const services = linked
      ? await api.request<{ items?: Service[] }>('GET', servicePath(namespace), { signal }).catch(() => ({ items: [] }))
      : { items: [] };
    return containerEnvironment({
      workload: this.#workload,
      sources: this.#sources,
      pod: this.#pod,
      links: serviceLinks(services.items ?? []),
      wanted,
      laptop: base,
    });
  }

  /** `sources`: others than those that were read at the start. */
  volumes(sources = this.#sources): Promise<VolumeFiles> {
    return volumeFiles({ workload: this.#workload, sources, pod: this.#pod, token: this.#tokens });
  }
}
