// Ctrl-C (on Windows Ctrl-Break too), SIGTERM and SIGHUP as one AbortSignal: the first asks for an orderly end, the second ends at once.
// Called by commands that hold a session.

export interface EndSignals {
  /** Aborts on the first signal. */
  readonly signal: AbortSignal;
  /** Resolves with the signal's name; never rejects. */
  readonly received: Promise<string>;
  /** Runs a wait that belongs to the end: one more signal ends it, and not kt. */
  readonly skippable: <T>(work: (skip: AbortSignal) => Promise<T>) => Promise<T>;
  dispose(): void;
}

const NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15, SIGBREAK: 21 };

export function endSignals(): EndSignals {
  const controller = new AbortController();
  let tell: (name: string) => void = () => undefined;
  const received = new Promise<string>((resolve) => {
    tell = resolve;
  });
  const skips = new Set<AbortController>();
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted && skips.size > 0) {
      for (const skip of skips) skip.abort();
      return;
    }
    // The pod is then left to the janitor.
    if (controller.signal.aborted) process.exit(128 + (NUMBERS[name] ?? 2));
    controller.abort();
    tell(name);
  };
  const names = Object.keys(NUMBERS) as NodeJS.Signals[];
  for (const name of names) process.on(name, onSignal);
  return {
    signal: controller.signal,
    received,
    skippable: async (work) => {
      const skip = new AbortController();
      skips.add(skip);
      try {
        return await work(skip.signal);
      } finally {
        skips.delete(skip);
      }
    },
    dispose: () => {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
