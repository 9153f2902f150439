// What `kt doctor` finds, as it is printed with --output json and shown by the screen. Types only.
// Made by modes/doctor, shown by cli/view/doctor.ts.
import type { ErrorCode } from '../errors.ts';

/** The hops, in the order in which they are looked at. */
export const CHECKS = [
  'laptop',
  'kubeconfig',
  'credentials',
  'proxy',
  'api-server',
  'version',
  'user',
  'rights',
  'namespace',
  'image',
  'agent',
  'link',
  'dns',
  'shims',
  'ports',
  'leftovers',
] as const;

export type CheckId = (typeof CHECKS)[number];

/** skipped: not looked at, because something before it failed or the user did not want it. */
export type Verdict = 'ok' | 'warning' | 'failed' | 'skipped';

export interface Finding {
  readonly check: CheckId;
  readonly verdict: Verdict;
  /** One sentence. */
  readonly text: string;
  /** The next step; there is always one where the verdict is `failed`. */
  readonly hint?: string | undefined;
  readonly code?: ErrorCode | undefined;
  /** Milliseconds that the look took. */
  readonly ms: number;
}

export interface Diagnosis {
  readonly version: string;
  /** ISO 8601. */
  readonly time: string;
  readonly namespace: string | null;
  readonly context: string | null;
  readonly findings: readonly Finding[];
}
