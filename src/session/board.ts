// The board of a session: its state, the events that views follow, and the actions that it takes, on a local socket of its own.
// A session that connects has one (session.ts), and so has a command that only holds Services (cli/inbound.ts). Knows no cluster: who
// can do an action registers for it, so that the session need not know the modes.
import { randomBytes } from 'node:crypto';
import { KtError } from '../errors.ts';
import type { Action, ActionAnswers, ActionKind } from './actions.ts';
import { ControlServer, type Question } from './control.ts';
import { controlPath } from './control-paths.ts';
import type { EventSink, SessionEvent, StampedEvent } from './events.ts';
import { initialState, reduce, type SessionState } from './state.ts';
import { TrafficJournal } from './traffic/journal.ts';
import { replay } from './traffic/replay.ts';

/** Events that a view which comes later still sees. */
const LOG_MAX = 500;
/** Told to views only: too many for a log, and old at once. */
const FLEETING: ReadonlySet<SessionEvent['type']> = new Set(['pulse', 'services', 'traffic']);

export type ActionHandler<K extends ActionKind> = (
  action: Extract<Action, { kind: K }>,
) => ActionAnswers[K] | Promise<ActionAnswers[K]>;

/** Other questions than `act`, which commands have asked since before there were actions: `join`. */
type Answerer = (question: Question) => unknown;

type View = (event: StampedEvent) => void;

interface Watcher {
  readonly start: () => () => void;
  stop: (() => void) | undefined;
  readonly greet: (() => SessionEvent) | undefined;
}

export class Board {
  readonly id = randomBytes(4).toString('hex');
  /** Resolves with the reason when a view or another command asks this session to end. */
  readonly ended: Promise<string>;
  /** Others can use its proxy, DNS and broker. */
  joinable = false;
  /** What the session carries, while somebody looks. */
  readonly traffic: TrafficJournal;
  #state: SessionState = initialState;
  #log: StampedEvent[] = [];
  #askToEnd: (reason: string) => void = () => undefined;
  #control: ControlServer | undefined;
  readonly #sink: EventSink;
  /** Of both kinds. */
  readonly #views = new Set<View>();
  #screens = 0;
  readonly #watchers = new Set<Watcher>();
  readonly #actions = new Map<ActionKind, ActionHandler<ActionKind>>();
  readonly #answerers = new Map<string, Answerer>();

  constructor(sink: EventSink) {
    this.#sink = sink;
    this.ended = new Promise((resolve) => {
      this.#askToEnd = resolve;
    });
    this.traffic = new TrafficJournal(this);
    this.onAction('record', ({ id, reveal }) => ({ detail: this.traffic.detail(id, reveal) ?? null }));
    this.onAction('replay', ({ id }) => replay(this.traffic.entry(id)));
    this.onAction('clear', () => {
      this.traffic.clear();
      return {};
    });
    this.onAction('stop', () => {
      this.#askToEnd('kt stop');
      return {};
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Somebody looks. */
  get watched(): boolean {
    return this.#screens > 0;
  }

  get path(): string {
    return controlPath(this.id);
  }

  readonly emit: EventSink = (event) => {
    this.#state = reduce(this.#state, event);
    const stamped: StampedEvent = { time: new Date().toISOString(), ...event };
    if (!FLEETING.has(event.type)) {
      this.#sink(event);
      if (event.type !== 'debug') this.#log.push(stamped);
      // Cut now and then, not each time.
      if (this.#log.length > LOG_MAX * 2) this.#log = this.#log.slice(-LOG_MAX);
    }
    for (const view of this.#views) view(stamped);
  };

  /** The later of two for one kind counts. */
  onAction<K extends ActionKind>(kind: K, handler: ActionHandler<K>): void {
    // The map's key says which kind the handler takes.
    this.#actions.set(kind, handler as unknown as ActionHandler<ActionKind>);
  }

  onQuestion(ask: string, answerer: Answerer): void {
    this.#answerers.set(ask, answerer);
  }

  /**
   * Runs `start` while at least one view looks, and what it returned when the last one goes. `greet` is what a view that comes later has to
   * know first. The returned function forgets it.
   */
  whileWatched(start: () => () => void, greet?: () => SessionEvent): () => void {
    const watcher: Watcher = { start, stop: this.watched ? start() : undefined, greet };
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
      watcher.stop?.();
      watcher.stop = undefined;
    };
  }

  /** Opens the local socket. Rejects with LISTEN_FAILED. */
  async listen(): Promise<void> {
    this.#control ??= await ControlServer.listen(this.path, {
      answer: (question) => this.#answer(question),
      subscribe: (kind, send) => this.#subscribe(kind, send),
    });
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.stop?.();
    this.#watchers.clear();
    this.#control?.close();
  }

  act<K extends ActionKind>(action: Extract<Action, { kind: K }>): Promise<ActionAnswers[K]> {
    const handler = this.#actions.get(action.kind) as ActionHandler<K> | undefined;
    if (handler) return Promise.resolve(handler(action));
    return Promise.reject(
      new KtError('UNSUPPORTED', `this session can't do '${action.kind}'`, {
        hint: this.joinable ? 'is it an older kt? restart it' : 'a session of `kt connect` can',
      }),
    );
  }

  /** `events`: what happens from now on. `watch`: first what there is, then all that happens, also what only a screen needs. */
  #subscribe(kind: 'events' | 'watch', send: (event: unknown) => void): () => void {
    if (kind === 'events') {
      const view: View = (event) => {
        if (!FLEETING.has(event.type)) send(event);
      };
      this.#views.add(view);
      return () => this.#views.delete(view);
    }
    send({ type: 'snapshot', session: this.id, pid: process.pid, state: this.#state, log: this.#log.slice(-LOG_MAX) });
    this.#views.add(send);
    this.#screens += 1;
    for (const watcher of this.#watchers) {
      if (watcher.stop && watcher.greet) send({ time: new Date().toISOString(), ...watcher.greet() });
      watcher.stop ??= watcher.start();
    }
    return () => {
      this.#views.delete(send);
      this.#screens -= 1;
      if (this.watched) return;
      for (const watcher of this.#watchers) {
        watcher.stop?.();
        watcher.stop = undefined;
      }
    };
  }

  #answer(question: Question): unknown {
    switch (question.ask) {
      case 'status':
        return { session: this.id, pid: process.pid, joinable: this.joinable, ...this.#state };
      case 'stop':
        return this.act({ kind: 'stop' });
      case 'route':
        return this.act({ kind: 'route', host: typeof question['host'] === 'string' ? question['host'] : '' });
      case 'act':
        return this.act(actionOf(question['action']));
      default: {
        const answerer = this.#answerers.get(question.ask);
        if (answerer) return answerer(question);
        throw new KtError('USAGE', `the session does not know '${question.ask}'`, {
          hint: 'is it an older kt? restart it',
        });
      }
    }
  }
}

/** The socket is the user's own, so this finds mistakes, not attacks; each handler checks what it gets as it checks the command's flags. */
function actionOf(value: unknown): Action {
  if (typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string')
    return value as Action;
  throw new KtError('USAGE', "an action needs the field 'kind'");
}
