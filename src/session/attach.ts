// A view's end of the control socket: the first picture, then every event folded into it as the session itself does, and actions, each
// on a connection of its own. Called by the screen's command. The other end is board.ts.
import { connect } from 'node:net';
import { KtError } from '../errors.ts';
import type { Action, ActionAnswers, ActionKind } from './actions.ts';
import { ask } from './control-client.ts';
import { endpointOf } from './control-paths.ts';
import type { StampedEvent } from './events.ts';
import type { SessionPort } from './port.ts';
import { reduce, type SessionState } from './state.ts';

/** Milliseconds for the first picture. */
const SNAPSHOT_MS = 10_000;
/** Milliseconds for an action: an agent's image may have to be pulled first. */
const ACTION_MS = 300_000;
/** Characters of one event: a batch of 200 Services is 100 KB. */
const LINE_MAX = 16 * 1024 * 1024;
/** Events that wait for the first listener, who comes at once. */
const EARLY_MAX = 1_000;
/** Events that the log keeps. */
const LOG_MAX = 1_000;

interface Snapshot {
  readonly type: 'snapshot';
  readonly session: string;
  readonly state: SessionState;
  readonly log: readonly StampedEvent[];
}

/** Rejects with SESSION_LOST where nobody answers on `path`. */
export function attach(path: string): Promise<SessionPort> {
  return new Promise((resolve, reject) => {
    const socket = connect(endpointOf(path));
    const listeners = new Set<(event: StampedEvent) => void>();
    // What came before anybody listened: the first picture of the namespace, say. The first listener gets it.
    let early: StampedEvent[] | undefined = [];
    let [held, reason] = ['', 'the session ended'];
    let port: (SessionPort & { state: SessionState; log: StampedEvent[] }) | undefined;
    let tellClosed: (reason: string) => void = () => undefined;
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), SNAPSHOT_MS);
    socket.setEncoding('utf8');
    socket.on('error', (error) => {
      reason = error.message;
    });
    socket.on('close', () => {
      clearTimeout(timer);
      tellClosed(reason);
      if (!port) reject(new KtError('SESSION_LOST', `the session does not answer: ${reason}`));
    });
    const open = ({ session, state, log }: Snapshot): void => {
      clearTimeout(timer);
      port = {
        session,
        state,
        log: [...log],
        subscribe: (listener) => {
          listeners.add(listener);
          for (const event of early ?? []) listener(event);
          early = undefined;
          return () => listeners.delete(listener);
        },
        act: <K extends ActionKind>(action: Extract<Action, { kind: K }>) =>
          ask<ActionAnswers[K]>(path, { ask: 'act', action }, ACTION_MS),
        closed: new Promise((closed) => {
          tellClosed = closed;
        }),
        close: () => socket.destroy(),
      };
      resolve(port);
    };
    const take = (event: StampedEvent): void => {
      if (!port) return;
      port.state = reduce(port.state, event);
      if (event.type === 'ended') reason = event.reason;
      if (event.type !== 'pulse' && event.type !== 'services' && event.type !== 'traffic' && event.type !== 'debug') {
        port.log.push(event);
        if (port.log.length > LOG_MAX) port.log.splice(0, port.log.length - LOG_MAX / 2);
      }
      if (early && early.length < EARLY_MAX) early.push(event);
      for (const listener of listeners) listener(event);
    };
    socket.on('data', (text: string) => {
      held += text;
      if (held.length > LINE_MAX) return socket.destroy(new Error('a line of the session is too long'));
      const lines = held.split('\n');
      held = lines.pop() ?? '';
      for (const line of lines) {
        const value = JSON.parse(line) as Snapshot | StampedEvent;
        if (value.type === 'snapshot') open(value);
        else take(value);
      }
      return undefined;
    });
    socket.write('{"ask":"watch"}\n');
  });
}
