// What recover is told, and what it says of each Service, as types. Used by recover.ts, its parts and those who show it.

export interface RecoverOptions {
  /** Of this kt. */
  readonly version: string;
  /** A session that is known to be dead: its rules do not count. */
  readonly session?: string | undefined;
  /** Restore also where somebody alive holds it. */
  readonly force?: boolean | undefined;
  /** Milliseconds after which something unfinished is left over. */
  readonly unfinishedMs?: number | undefined;
  /** Say what would be done, and change nothing. */
  readonly dryRun?: boolean | undefined;
  /** False: leave alone what kt-connect made. */
  readonly ktConnect?: boolean | undefined;
}

export interface Recovered {
  readonly service: string;
  /** restored: given back. held: somebody is on it. cleaned: what was left beside it is gone. untouched: nobody has taken it. */
  readonly outcome: 'restored' | 'held' | 'cleaned' | 'untouched';
  readonly by?: string;
  /** What it was, where that is not plain. */
  readonly what?: string;
}
