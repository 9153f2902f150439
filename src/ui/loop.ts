// Joins the machine to the world: messages in, effects out, and pictures at a pace that the terminal can take. Knows no Ink.
// Keys are drawn at once; what the session tells, some times a second, fewer where the line to the terminal is slow.
import { type ErrorCode, KtError } from '../errors.ts';
import type { Action } from '../session/actions.ts';
import type { SessionPort } from '../session/port.ts';
import type { TrafficDetail, TrafficSource } from '../session/traffic/types.ts';
import type { ScreenData } from './data.ts';
import { type Answer, type Effect, type Message, startUi, type Ui, type Updated } from './machine/ui.ts';
import { update } from './machine/update.ts';
import type { Store } from './store.ts';

/** Milliseconds between two pictures that no key asked for. */
const FRAME_MS = 200;
/** A picture that takes this part of the time to write makes them rarer: at most a quarter of the line is kt's. */
const WRITE_SHARE = 4;
const FRAME_MAX_MS = 2_000;
/** Milliseconds without a key after which a form asks for its plan. */
const SETTLE_MS = 250;
/** Milliseconds between pictures for what time alone changes. */
const TICK_MS = 1_000;
/** Requests that a HAR file takes. */
const HAR_MAX = 500;

export interface ScreenTools {
  readonly traffic: TrafficSource | undefined;
  readonly curl: (detail: TrafficDetail) => string | undefined;
  readonly har: (details: readonly TrafficDetail[]) => string;
  /** To the clipboard of the terminal. */
  readonly copy: (text: string) => void;
  /** Gives the path. */
  readonly save: (text: string) => string;
}

export interface Picture {
  readonly ui: Ui;
  readonly data: ScreenData;
}

export class Loop {
  /** Resolves when the screen is to go; true: the session was asked to end. */
  readonly left: Promise<boolean>;
  /** Milliseconds that the last picture took to write; set by who writes. */
  writeMs = 0;
  readonly #port: SessionPort;
  readonly #store: Store;
  readonly #tools: ScreenTools;
  readonly #listeners = new Set<() => void>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #picture: Picture;
  #leave: (stop: boolean) => void = () => undefined;
  #frame: NodeJS.Timeout | undefined;
  #drawnAt = 0;
  #settle: NodeJS.Timeout | undefined;

  constructor(
    port: SessionPort,
    store: Store,
    tools: ScreenTools,
    { owner, width, height }: { owner: boolean; width: number; height: number },
  ) {
    this.#port = port;
    this.#store = store;
    this.#tools = tools;
    this.#picture = { ui: startUi(owner, width, height), data: store.data() };
    this.left = new Promise((resolve) => {
      this.#leave = resolve;
    });
    store.onChange(() => this.#soon());
    this.#timers.add(setInterval(() => this.#soon(), TICK_MS));
  }

  readonly picture = (): Picture => this.#picture;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  close(): void {
    for (const timer of [...this.#timers, this.#frame, this.#settle]) clearTimeout(timer);
  }

  readonly send = (message: Message): void => {
    const { data } = this.#picture;
    const [ui, effects] = this.#update(message, data);
    for (const effect of effects) this.#run(effect);
    this.#picture = { ui, data: effects.length > 0 || message.type !== 'key' ? this.#store.data() : data };
    this.#tell();
  };

  /** A defect in what a key does is told; the screen and the session go on. */
  #update(message: Message, data: ScreenData): Updated {
    try {
      return update(this.#picture.ui, message, data);
    } catch (error) {
      const text = `this has a defect: ${error instanceof Error ? error.message : String(error)}`;
      return [{ ...this.#picture.ui, overlay: null, flash: { text, style: 'bad' } }, []];
    }
  }

  #soon(): void {
    if (this.#frame !== undefined) return;
    const pause = Math.min(FRAME_MAX_MS, Math.max(FRAME_MS, this.writeMs * WRITE_SHARE));
    this.#frame = setTimeout(
      () => {
        this.#frame = undefined;
        this.#picture = { ui: this.#picture.ui, data: this.#store.data() };
        this.#tell();
      },
      Math.max(0, this.#drawnAt + pause - performance.now()),
    );
  }

  #tell(): void {
    this.#drawnAt = performance.now();
    for (const listener of this.#listeners) listener();
  }

  #run(effect: Effect): void {
    switch (effect.type) {
      case 'act':
        void this.#ask(effect.id, async () => answerTo(effect.action, await this.#port.act(effect.action)));
        return;
      case 'record':
        void this.#ask(effect.id, async () => ({
          kind: 'record',
          detail: (await this.#tools.traffic?.detail(effect.record, effect.reveal)) ?? null,
        }));
        return;
      case 'replay':
        void this.#ask(effect.id, async () => {
          if (!this.#tools.traffic) throw new KtError('UNSUPPORTED', 'this session records no traffic');
          return { kind: 'replay', replayed: await this.#tools.traffic.replay(effect.record) };
        });
        return;
      case 'copyCurl':
        void this.#copyCurl(effect.record);
        return;
      case 'saveHar':
        void this.#saveHar(effect.records);
        return;
      case 'clearTraffic':
        this.#store.forgetTraffic();
        void this.#tools.traffic?.clear().catch(() => undefined);
        return;
      case 'pause':
        this.#store.pause(effect.paused);
        return;
      case 'settle':
        clearTimeout(this.#settle);
        this.#settle = setTimeout(() => this.send({ type: 'settled', id: effect.id }), SETTLE_MS);
        return;
      case 'quit':
        void this.#quit(effect.stop);
        return;
      default:
    }
  }

  async #quit(stop: boolean): Promise<void> {
    // A session that is gone has nothing to stop.
    if (stop) await this.#port.act({ kind: 'stop' }).catch(() => undefined);
    this.#leave(stop);
  }

  async #ask(id: number, work: () => Promise<Answer>): Promise<void> {
    try {
      this.send({ type: 'answer', id, value: await work() });
    } catch (error) {
      const known = error instanceof KtError ? error : new KtError('INTERNAL' satisfies ErrorCode, String(error));
      this.send({
        type: 'refused',
        id,
        problem: { code: known.code, message: known.message, hint: known.hint ?? null },
      });
    }
  }

  async #copyCurl(record: number): Promise<void> {
    const detail = await this.#tools.traffic?.detail(record, true).catch(() => undefined);
    const text = detail && this.#tools.curl(detail);
    if (text === undefined) {
      this.send({
        type: 'told',
        text: 'only an HTTP request whose head was seen can be copied as curl',
        style: 'warn',
      });
      return;
    }
    this.#tools.copy(text);
    this.send({ type: 'told', text: `copied: ${text.split('\n')[0] ?? ''}`, style: 'good' });
  }

  async #saveHar(records: readonly number[]): Promise<void> {
    const details: TrafficDetail[] = [];
    for (const record of records.slice(-HAR_MAX)) {
      const detail = await this.#tools.traffic?.detail(record).catch(() => undefined);
      if (detail?.request) details.push(detail);
    }
    try {
      if (details.length === 0) throw new Error('no HTTP request is shown whose head was seen');
      this.send({
        type: 'told',
        text: `${details.length} requests in ${this.#tools.save(this.#tools.har(details))}`,
        style: 'good',
      });
    } catch (error) {
      this.send({
        type: 'told',
        text: `not saved: ${error instanceof Error ? error.message : String(error)}`,
        style: 'bad',
      });
    }
  }
}

function answerTo(action: Action, value: unknown): Answer {
  switch (action.kind) {
    case 'plan':
      return { kind: 'plan', plan: value as Extract<Answer, { kind: 'plan' }>['plan'] };
    case 'places':
      return { kind: 'places', places: value as Extract<Answer, { kind: 'places' }>['places'] };
    case 'route':
      return { kind: 'route', route: value as Extract<Answer, { kind: 'route' }>['route'] };
    case 'doctor':
    case 'listening':
    case 'environment':
      return { kind: action.kind, ...(value as object) } as Answer;
    case 'hold':
      return {
        kind: 'done',
        text: `${action.hold.service}: its ${action.hold.kind === 'mesh' ? 'marked requests' : 'requests'} come to this laptop`,
      };
    case 'release':
      return { kind: 'done', text: `${action.service} is released` };
    case 'forward':
      return { kind: 'done', text: `listening on ${(value as { locals: string[] }).locals.join(', ')}` };
    case 'switch':
      return { kind: 'done', text: `going to ${action.namespace ?? action.context ?? 'another place'}` };
    case 'recover':
      return { kind: 'done', text: (value as { lines: string[] }).lines.join(' ') };
    default:
      return { kind: 'done', text: 'done' };
  }
}
