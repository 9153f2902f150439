// What ties a program of `kt up` to it: its `kt run` has an IPC channel to kt up, and ends the program when that channel closes, also by the death of kt up.
// A `kt run` that another program started over IPC is not tied. Called by programs.ts (kt up's end) and commands/run.ts (kt run's end).
import type { ChildProcess } from 'node:child_process';

const TETHER = 'kt: end with me';

/** For a child with `ipc` in its stdio. Its end is `child.disconnect()`, or ours. */
export function tether(child: ChildProcess): void {
  // It may have ended already.
  child.on('error', () => undefined);
  child.send(TETHER, () => undefined);
  child.channel?.unref();
}

/** Aborts when the kt up that started this process lets it go, or has died. Never for other parents. */
export function tetherEnd(): AbortSignal {
  const end = new AbortController();
  if (!process.connected) return end.signal;
  process.on('message', (message) => {
    if (message !== TETHER) return;
    if (process.connected) process.once('disconnect', () => end.abort());
    else end.abort();
  });
  // The program says how long this process lives, not the channel.
  process.channel?.unref();
  return end.signal;
}
