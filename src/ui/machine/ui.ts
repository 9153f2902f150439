// What the screen remembers between keys, and what it asks for. Types and the beginning only; update.ts changes it.
import type { Action, PlacesAnswer, PlanAnswer, RouteAnswer } from '../../session/actions.ts';
import type { Replayed, TrafficDetail } from '../../session/traffic/types.ts';
import type { Line } from '../text/line.ts';
import type { Form, Problem } from './form.ts';
import { LIST_START, type ListState } from './list.ts';
import type { TextField } from './text-field.ts';

export const VIEWS = ['services', 'traffic', 'programs', 'log', 'doctor'] as const;
export type ViewId = (typeof VIEWS)[number];

export type Overlay =
  | { readonly type: 'help' }
  | { readonly type: 'form'; readonly form: Form }
  | { readonly type: 'quit' }
  /** An answer to read: scrolled by the cursor keys. */
  | { readonly type: 'text'; readonly title: string; readonly lines: readonly Line[]; readonly top: number };

/** One record of traffic in full. */
export interface RecordView {
  readonly id: number;
  readonly detail: TrafficDetail | null;
  readonly reveal: boolean;
  readonly replayed: Replayed | 'asking' | null;
  readonly problem: Problem | null;
  readonly top: number;
}

export interface Ui {
  readonly view: ViewId;
  readonly width: number;
  readonly height: number;
  readonly lists: Readonly<Record<ViewId, ListState>>;
  readonly filters: Readonly<Record<ViewId, string>>;
  readonly input: { readonly kind: 'filter' | 'command'; readonly field: TextField } | null;
  readonly overlay: Overlay | null;
  /** The picked row in full, beside the list or over it. */
  readonly detail: boolean;
  readonly record: RecordView | null;
  readonly paused: boolean;
  /** The answer to the last key; gone with the next one. */
  readonly flash: { readonly text: string; readonly style: 'good' | 'warn' | 'bad' | 'plain' } | null;
  /** The command that does what was done last. */
  readonly sameAs: string | null;
  readonly doctor: {
    readonly lines: readonly string[] | null;
    readonly asking: boolean;
    readonly problem: Problem | null;
  };
  /** The session ends with the screen, which was opened with it. */
  readonly owner: boolean;
  /** Number of the next question; answers come with theirs. */
  readonly next: number;
}

export function startUi(owner: boolean, width: number, height: number): Ui {
  const each = <T>(value: T): Record<ViewId, T> => ({
    services: value,
    traffic: value,
    programs: value,
    log: value,
    doctor: value,
  });
  return {
    view: 'services',
    width,
    height,
    lists: each(LIST_START),
    filters: each(''),
    input: null,
    overlay: null,
    detail: false,
    record: null,
    paused: false,
    flash: null,
    sameAs: null,
    doctor: { lines: null, asking: false, problem: null },
    owner,
    next: 1,
  };
}

/** What the machine asks the world to do. Answers come back as messages with the same `id`. */
export type Effect =
  | { readonly type: 'act'; readonly id: number; readonly action: Action }
  | { readonly type: 'record'; readonly id: number; readonly record: number; readonly reveal: boolean }
  | { readonly type: 'replay'; readonly id: number; readonly record: number }
  | { readonly type: 'copyCurl'; readonly record: number }
  | { readonly type: 'saveHar'; readonly records: readonly number[] }
  | { readonly type: 'clearTraffic' }
  | { readonly type: 'pause'; readonly paused: boolean }
  /** The message comes back when nothing was typed for a moment. */
  | { readonly type: 'settle'; readonly id: number }
  /** The screen goes; `stop`: the session too. */
  | { readonly type: 'quit'; readonly stop: boolean };

export type Message =
  | { readonly type: 'key'; readonly key: string }
  | { readonly type: 'resize'; readonly width: number; readonly height: number }
  | { readonly type: 'settled'; readonly id: number }
  | { readonly type: 'answer'; readonly id: number; readonly value: Answer }
  | { readonly type: 'refused'; readonly id: number; readonly problem: Problem }
  | { readonly type: 'told'; readonly text: string; readonly style: 'good' | 'warn' | 'bad' };

export type Answer =
  | { readonly kind: 'plan'; readonly plan: PlanAnswer }
  | { readonly kind: 'places'; readonly places: PlacesAnswer }
  | { readonly kind: 'route'; readonly route: RouteAnswer }
  | { readonly kind: 'doctor'; readonly lines: readonly string[] }
  | { readonly kind: 'listening'; readonly ports: readonly number[] }
  | { readonly kind: 'environment'; readonly set: Readonly<Record<string, string>>; readonly unset: readonly string[] }
  | { readonly kind: 'record'; readonly detail: TrafficDetail | null }
  | { readonly kind: 'replay'; readonly replayed: Replayed }
  | { readonly kind: 'done'; readonly text: string };

export type Updated = readonly [ui: Ui, effects: readonly Effect[]];
