// The namespace as `kt birdseye` tells it, kept true by watches and told as differences, for views. Only reads. Runs while somebody looks.
// What a line says is overview.ts's; this only knows when to look again. Called by the commands that hold a session.
import { deploymentPath, endpointSlicesPath, podPath, servicePath } from '../../cluster/paths.ts';
import type { ClusterApi } from '../../cluster/rest.ts';
import { journalOf } from '../../cluster/takeover/journal.ts';
import { MANUAL } from '../../cluster/takeover/manual.ts';
import { list } from '../../cluster/takeover/objects.ts';
import type { ServiceObject } from '../../cluster/takeover/types.ts';
import { watchList } from '../../cluster/watch.ts';
import { asKtError } from '../../errors.ts';
import type { EventSink, SessionEvent } from '../../session/events.ts';
import type { Connector, ServiceLine } from '../../session/overview.ts';
import { KT_CONNECT_LABEL, ktConnectConnectors, type PodTrace } from '../kt-connect/traces.ts';
import {
  type Asked,
  askAgents,
  connectorOf,
  countReady,
  type EndpointSlice,
  isHelper,
  lineOf,
  type ManualTrace,
  runs,
} from './overview.ts';

/** Milliseconds between two tellings; a rollout changes endpoints many times a second. */
const TELL_MS = 250;
/** Milliseconds between two questions to the agents and for pods: what no watch tells. */
const ASK_MS = 10_000;
/** Services in one event: 100 KB. */
const BATCH = 200;

interface Named {
  readonly metadata: { readonly name: string };
}

/** For the board's `whileWatched`. Never throws: what may not be read is said in `trouble`. */
export function watchNamespace(
  api: ClusterApi,
  namespace: string,
  version: string,
  emit: EventSink,
): readonly [start: () => () => void, greet: () => SessionEvent] {
  let live: Live | undefined;
  const start = (): (() => void) => {
    const started = new Live(api, namespace, version, emit);
    live = started;
    started.start();
    return () => started.stop();
  };
  return [start, () => live?.all() ?? nothing(true)];
}

const nothing = (fresh: boolean): Extract<SessionEvent, { type: 'services' }> => ({
  type: 'services',
  fresh,
  changed: [],
  gone: [],
  connected: null,
  trouble: null,
});

class Live {
  readonly #api: ClusterApi;
  readonly #namespace: string;
  readonly #version: string;
  readonly #emit: EventSink;
  readonly #ended = new AbortController();
  readonly #services = new Map<string, ServiceObject>();
  readonly #slices = new Map<string, EndpointSlice>();
  /** As they were told. */
  readonly #told = new Map<string, { readonly text: string; readonly line: ServiceLine }>();
  #slicesSeen = false;
  #trouble: string | null = null;
  #holders = new Map<string, Asked>();
  #journals = '';
  #foreign: PodTrace[] | null = null;
  #manual: ManualTrace[] = [];
  #connected: Connector[] | null = null;
  #connectedTold = '';
  #timer: NodeJS.Timeout | undefined;
  #asking: NodeJS.Timeout | undefined;
  #fresh = true;

  constructor(api: ClusterApi, namespace: string, version: string, emit: EventSink) {
    this.#api = api;
    this.#namespace = namespace;
    this.#version = version;
    this.#emit = emit;
  }

  start(): void {
    void this.#follow(servicePath(this.#namespace), this.#services, () => this.#soon());
    void this.#follow(endpointSlicesPath(this.#namespace), this.#slices, () => {
      this.#slicesSeen = true;
      this.#soon();
    });
    this.#asking = setInterval(() => void this.#ask(), ASK_MS);
    void this.#ask();
  }

  stop(): void {
    this.#ended.abort();
    clearTimeout(this.#timer);
    clearInterval(this.#asking);
  }

  /** What was told until now. */
  all(): SessionEvent {
    const changed = [...this.#told.values()].map(({ line }) => line);
    return { ...nothing(true), changed, connected: this.#connected, trouble: this.#trouble };
  }

  async #follow<T extends Named>(path: string, store: Map<string, T>, changed: () => void): Promise<void> {
    const { signal } = this.#ended;
    let synced = false;
    try {
      for await (const change of watchList<T>(this.#api, path, { signal })) {
        if (change.type === 'synced') synced = true;
        else if (change.type === 'deleted') store.delete(change.object.metadata.name);
        else store.set(change.object.metadata.name, change.object);
        if (synced) changed();
      }
    } catch (error) {
      if (signal.aborted) return;
      // Without endpoints the rest is still of use; `ready` says that it is not known.
      if (path === servicePath(this.#namespace))
        this.#trouble = `Services can't be watched: ${asKtError(error).message}`;
      this.#soon();
    }
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tell();
    }, TELL_MS);
  }

  /** Who holds what now, and who is connected. */
  async #ask(): Promise<void> {
    const { signal } = this.#ended;
    const pods = async (selector: string): Promise<PodTrace[] | null> =>
      list<PodTrace>(this.#api, podPath(this.#namespace), selector, signal).catch(() => null);
    const [egress, foreign, manual] = await Promise.all([
      pods('kt/role=egress'),
      pods(KT_CONNECT_LABEL),
      list<ManualTrace>(this.#api, deploymentPath(this.#namespace), MANUAL, signal).catch(() => []),
    ]);
    if (signal.aborted) return;
    this.#foreign = foreign;
    this.#manual = manual;
    this.#connected = egress && [
      ...egress.filter(runs).map(connectorOf),
      ...ktConnectConnectors((foreign ?? []).filter(runs)),
    ];
    await this.#askHolders();
    this.#soon();
  }

  async #askHolders(): Promise<void> {
    const { signal } = this.#ended;
    const answers = await askAgents(
      this.#api,
      this.#namespace,
      this.#version,
      [...this.#services.values()],
      signal,
    ).catch(() => undefined);
    if (answers && !signal.aborted) this.#holders = answers;
  }

  #tell(): void {
    const own = [...this.#services.values()].filter((service) => !isHelper(service));
    // Somebody took or gave back a Service: its agent is asked at once, not with the next round.
    const journals = own
      .filter((service) => journalOf(service) !== undefined)
      .map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion ?? ''}`)
      .join();
    if (journals !== this.#journals) {
      this.#journals = journals;
      void this.#askHolders().then(() => this.#soon());
    }
    const facts = {
      ready: this.#slicesSeen ? countReady([...this.#slices.values()]) : null,
      holders: this.#holders,
      foreign: this.#foreign,
      manual: this.#manual,
      now: this.#api.now(),
    };
    const gone = new Set(this.#told.keys());
    const changed = [];
    for (const service of own) {
      const line = lineOf(service, facts);
      gone.delete(line.name);
      // `since` is counted back from now and moves by some milliseconds each time.
      const text = JSON.stringify(line, (key, value: unknown) =>
        key === 'since' && typeof value === 'string' ? value.slice(0, 18) : value,
      );
      if (this.#told.get(line.name)?.text === text) continue;
      this.#told.set(line.name, { text, line });
      changed.push(line);
    }
    for (const name of gone) this.#told.delete(name);
    const connected = JSON.stringify(this.#connected);
    if (changed.length === 0 && gone.size === 0 && !this.#fresh && connected === this.#connectedTold) return;
    this.#connectedTold = connected;
    const event = (part: Partial<Extract<SessionEvent, { type: 'services' }>>): void => {
      this.#emit({ ...nothing(this.#fresh), connected: this.#connected, trouble: this.#trouble, ...part });
      this.#fresh = false;
    };
    event({ changed: changed.slice(0, BATCH), gone: [...gone] });
    for (let at = BATCH; at < changed.length; at += BATCH) event({ changed: changed.slice(at, at + BATCH) });
  }
}
