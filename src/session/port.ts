// What a view of a session holds: its state, what has happened, a way to act. Types only. Made by attach.ts over the local socket.
import type { Action, ActionAnswers, ActionKind } from './actions.ts';
import type { StampedEvent } from './events.ts';
import type { SessionState } from './state.ts';

export interface SessionPort {
  readonly session: string;
  readonly state: SessionState;
  /** The latest events, eldest first. */
  readonly log: readonly StampedEvent[];
  /** Called for every event, after `state` has it. The returned function ends it. */
  subscribe(listener: (event: StampedEvent) => void): () => void;
  /** Rejects with the session's own KtError, or SESSION_LOST. */
  act<K extends ActionKind>(action: Extract<Action, { kind: K }>): Promise<ActionAnswers[K]>;
  /** Resolves with the reason when the session is gone. */
  readonly closed: Promise<string>;
  close(): void;
}
