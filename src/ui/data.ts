// What the views read: the session's state and what the screen keeps of its events, with the limits of what is kept. Types only.
// Made by store.ts. Views never see the session itself.
import type { Connector, ServiceLine } from '../session/overview.ts';
import type { SessionState } from '../session/state.ts';
import type { TrafficRecord } from '../session/traffic/types.ts';
import type { Style } from './text/line.ts';

/** Lines of the log that are kept. */
export const LOG_MAX = 2_000;
/** Records of traffic that are kept; older ones are counted. */
export const TRAFFIC_MAX = 2_000;
/** Values behind a sparkline. */
export const HISTORY_MAX = 120;

export interface LogLine {
  readonly time: string;
  readonly text: string;
  readonly style: Style;
  /** An error: not to be overlooked. */
  readonly urgent: boolean;
}

export interface NamespaceData {
  /** By name. */
  readonly lines: readonly ServiceLine[];
  readonly connected: readonly Connector[] | null;
  readonly seen: boolean;
  readonly trouble: string | null;
}

export interface TrafficData {
  /** Eldest first. */
  readonly records: readonly TrafficRecord[];
  /** Pushed out by later ones. */
  readonly dropped: number;
  /** What the session keeps. */
  readonly limit: number;
  /** Records that came since the view was stopped by `space`. */
  readonly pausedNew: number;
}

export interface ScreenData {
  readonly state: SessionState;
  readonly namespace: NamespaceData;
  readonly traffic: TrafficData;
  readonly log: readonly LogLine[];
  /** Per second, eldest first. */
  readonly received: readonly number[];
  readonly sent: readonly number[];
  /** Milliseconds; 0: no answer. */
  readonly roundTrips: readonly number[];
  /** Milliseconds since the epoch; when it went silent, or null. */
  readonly linkDownAt: number | null;
  readonly apiDownAt: number | null;
  /** Steps that are not done: what is being waited for, with when it began. */
  readonly steps: readonly {
    readonly id: string;
    readonly text: string;
    readonly waiting: string | null;
    readonly at: number;
  }[];
  readonly now: number;
}
