// Keeps what the views need of a session's events, in rings with limits, and tells the screen at most as often as it can be drawn.
// Knows the port (session/port.ts), no view and no terminal.
import type { SessionEvent, StampedEvent } from '../session/events.ts';
import type { ServiceLine } from '../session/overview.ts';
import type { SessionPort } from '../session/port.ts';
import type { TrafficBatch, TrafficRecord } from '../session/traffic/types.ts';
import { HISTORY_MAX, LOG_MAX, type LogLine, type ScreenData, TRAFFIC_MAX } from './data.ts';
import type { Style } from './text/line.ts';

/** An event as lines for people; `kt connect` prints the same. */
export type Describe = (event: SessionEvent) => readonly string[];

/** On a screen `q` ends it. */
const ENDING = 'Press Ctrl-C to end.';

const byName = (one: ServiceLine, other: ServiceLine): number =>
  one.name < other.name ? -1 : one.name > other.name ? 1 : 0;

export class Store {
  readonly #port: SessionPort;
  readonly #describe: Describe;
  readonly #services = new Map<string, ServiceLine>();
  readonly #records = new Map<number, TrafficRecord>();
  #log: LogLine[] = [];
  #received: number[] = [];
  #sent: number[] = [];
  #roundTrips: number[] = [];
  #linkDownAt: number | null = null;
  #apiDownAt: number | null = null;
  #steps = new Map<string, { id: string; text: string; waiting: string | null; at: number }>();
  #namespace: ScreenData['namespace'] = { lines: [], connected: null, seen: false, trouble: null };
  #traffic: ScreenData['traffic'] = { records: [], dropped: 0, limit: TRAFFIC_MAX, pausedNew: 0 };
  #servicesChanged = false;
  #trafficChanged = false;
  #paused = false;
  readonly #listeners = new Set<() => void>();
  readonly #unsubscribe: () => void;

  constructor(port: SessionPort, describe: Describe) {
    this.#port = port;
    this.#describe = describe;
    for (const event of port.log) this.#take(event);
    this.#unsubscribe = port.subscribe((event) => {
      this.#take(event);
      for (const listener of this.#listeners) listener();
    });
  }

  close(): void {
    this.#unsubscribe();
  }

  /** Called for every change; to be answered by a look at `data` soon, not at once. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stops the list of traffic where it is; what comes meanwhile is kept and counted. */
  pause(paused: boolean): void {
    this.#paused = paused;
    this.#trafficChanged = true;
  }

  forgetTraffic(): void {
    this.#records.clear();
    this.#traffic = { ...this.#traffic, records: [], dropped: 0, pausedNew: 0 };
  }

  /** A picture of now. Lists that did not change are the same objects. */
  data(now = Date.now()): ScreenData {
    if (this.#servicesChanged) {
      this.#servicesChanged = false;
      this.#namespace = { ...this.#namespace, lines: [...this.#services.values()].toSorted(byName) };
    }
    if (this.#trafficChanged) {
      this.#trafficChanged = false;
      const records = [...this.#records.values()];
      const last = this.#traffic.records.at(-1)?.id ?? 0;
      this.#traffic = this.#paused
        ? { ...this.#traffic, pausedNew: records.filter(({ id }) => id > last).length }
        : { ...this.#traffic, records, pausedNew: 0 };
    }
    return {
      state: this.#port.state,
      namespace: this.#namespace,
      traffic: this.#traffic,
      log: this.#log,
      received: this.#received,
      sent: this.#sent,
      roundTrips: this.#roundTrips,
      linkDownAt: this.#linkDownAt,
      apiDownAt: this.#apiDownAt,
      steps: [...this.#steps.values()],
      now,
    };
  }

  #take(event: StampedEvent): void {
    switch (event.type) {
      case 'pulse':
        this.#received = pushed(this.#received, event.received);
        this.#sent = pushed(this.#sent, event.sent);
        this.#roundTrips = pushed(this.#roundTrips, event.agentMs ?? event.apiMs ?? 0);
        this.#apiDownAt = event.apiMs === null && this.#roundTrips.length > 4 ? (this.#apiDownAt ?? Date.now()) : null;
        return;
      case 'services':
        this.#takeServices(event);
        return;
      case 'traffic':
        this.#takeTraffic(event);
        return;
      case 'opening':
        this.#steps.clear();
        this.#services.clear();
        this.#records.clear();
        [this.#received, this.#sent, this.#roundTrips] = [[], [], []];
        this.#namespace = { lines: [], connected: null, seen: false, trouble: null };
        this.#traffic = { records: [], dropped: 0, limit: TRAFFIC_MAX, pausedNew: 0 };
        this.#linkDownAt = null;
        break;
      case 'link':
        if (event.state === 'up') this.#linkDownAt = null;
        if (event.state === 'down') this.#linkDownAt = Date.parse(event.time);
        break;
      case 'step':
        this.#takeStep(event);
        break;
      default:
    }
    const style = styleOf(event);
    const lines = this.#describe(event)
      .filter((text) => text !== ENDING)
      // The first line says it; the others are its details.
      .map(
        (text, at): LogLine => ({
          time: event.time,
          text: text.trim(),
          style: at === 0 ? style : 'dim',
          urgent: at === 0 && event.type === 'error',
        }),
      );
    if (lines.length > 0) this.#log = [...this.#log.slice(-(LOG_MAX - lines.length)), ...lines];
  }

  #takeStep({ id, state, text, time }: Extract<StampedEvent, { type: 'step' }>): void {
    const known = this.#steps.get(id);
    if (state === 'done' || state === 'failed') this.#steps.delete(id);
    else if (state === 'waiting' && known) this.#steps.set(id, { ...known, waiting: text });
    else this.#steps.set(id, { id, text, waiting: null, at: known?.at ?? Date.parse(time) });
  }

  #takeServices(event: Extract<SessionEvent, { type: 'services' }>): void {
    if (event.fresh) this.#services.clear();
    for (const line of event.changed) this.#services.set(line.name, line);
    for (const name of event.gone) this.#services.delete(name);
    this.#servicesChanged = true;
    this.#namespace = { ...this.#namespace, connected: event.connected, trouble: event.trouble, seen: true };
  }

  #takeTraffic({ records, fresh, dropped, limit }: TrafficBatch): void {
    if (fresh) this.#records.clear();
    for (const record of records) this.#records.set(record.id, record);
    let more = 0;
    // A Map keeps the order of the first insertion: the eldest go.
    for (const id of this.#records.keys()) {
      if (this.#records.size <= TRAFFIC_MAX) break;
      this.#records.delete(id);
      more += 1;
    }
    this.#trafficChanged = true;
    this.#traffic = { ...this.#traffic, dropped: Math.max(dropped, this.#traffic.dropped + more), limit };
  }
}

const pushed = (values: readonly number[], value: number): number[] => [...values.slice(1 - HISTORY_MAX), value];

function styleOf(event: SessionEvent): Style {
  switch (event.type) {
    case 'error':
      return 'bad';
    case 'warning':
    case 'evicted':
      return 'warn';
    case 'link':
    case 'inbound':
      return event.state === 'down' ? 'bad' : event.state === 'up' ? 'good' : 'dim';
    case 'agent':
      return event.state === 'lost' ? 'bad' : 'plain';
    case 'holding':
    case 'released':
    case 'ready':
      return 'strong';
    case 'step':
      return event.state === 'failed' ? 'bad' : 'dim';
    default:
      return 'plain';
  }
}
