// What lives as long as the program: the folder of files, the door to the API server, and the looks at whether the files are still what
// the cluster has. Called by open.ts.
import { ConfigSources } from '../../cluster/workload/sources.ts';
import type { VolumeFiles } from '../../cluster/workload/volumes.ts';
import { asKtError } from '../../errors.ts';
import { type ApiDoor, openApiDoor } from '../../session/api-door.ts';
import { Janitor } from '../../session/janitor.ts';
import { type ApiAccess, apiAccess } from './api-access.ts';
import { WorkloadFolder } from './folder.ts';
import type { Surroundings, WorkloadContext } from './surroundings.ts';

/** Milliseconds between two looks at what the files are made of. The kubelet's own takes up to a minute or two. */
const REFRESH_MS = 10_000;

export class Live {
  readonly folder: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly place: (path: string) => string;
  readonly #folder: WorkloadFolder;
  readonly #door: ApiDoor;
  readonly #janitor: Janitor;
  readonly #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  #closed = false;

  private constructor(
    folder: WorkloadFolder,
    door: ApiDoor,
    access: ApiAccess,
    refresh: (() => Promise<void>) | undefined,
    everyMs: number,
  ) {
    this.#folder = folder;
    this.#door = door;
    this.folder = folder.path;
    this.place = (path) => folder.place(path);
    this.variables = { ...access.variables, ...(refresh ? { KT_FILES: folder.path } : {}) };
    this.#janitor = new Janitor(['rm', '-rf', folder.path], process.env);
    if (!refresh) return;
    this.#timer = setInterval(() => {
      // One look at a time: a slow line must not pile them up.
      this.#refreshing ??= refresh().finally(() => {
        this.#refreshing = undefined;
      });
    }, everyMs);
    this.#timer.unref();
  }

  static async open(
    files: Surroundings | undefined,
    volumes: VolumeFiles | undefined,
    options: WorkloadContext,
  ): Promise<Live> {
    const { api, namespace, emit, signal } = options;
    const folder = WorkloadFolder.create();
    try {
      const door = await openApiDoor(api);
      const access = apiAccess(door, namespace, (path) => folder.place(path));
      const write = (found: VolumeFiles | undefined): string[] =>
        folder.write(new Map([...(found?.files ?? []), ...access.files]));
      for (const mount of volumes?.mounts ?? []) folder.makeFolder(mount.replace(/\/[^/]*$/, '') || '/');
      write(volumes);
      for (const mount of volumes?.mounts ?? []) if (!volumes?.files.has(mount)) folder.makeFolder(mount);
      let told = false;
      const refresh = async (): Promise<void> => {
        try {
          const now = await files?.volumes(new ConfigSources(api, namespace, signal));
          // One that was deleted meanwhile stays as it was, as in a pod.
          if (!now || now.missing.length > 0 || live.#closed) return;
          const changed = write(now);
          if (changed.length > 0) emit({ type: 'debug', message: `files that changed: ${changed.join(', ')}` });
          told = false;
        } catch (error) {
          if (!told && !live.#closed)
            emit({ type: 'debug', message: `files are not refreshed: ${asKtError(error).message}` });
          told = true;
        }
      };
      const live = new Live(folder, door, access, files && refresh, options.refreshMs ?? REFRESH_MS);
      return live;
    } catch (error) {
      folder.remove();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#door.close();
    await this.#refreshing;
    this.#folder.remove();
    this.#janitor.dismiss();
  }
}
