// Notices that a program with a shim has ended: it says hello when it starts, and nothing when it goes. Looks while a view does, because only
// views show programs, and those that would lose the cluster when the session ends. Called by session.ts.
import type { Board } from './board.ts';

/** Milliseconds between two looks; each costs a system call for each program. */
const LOOK_MS = 2_000;

/** The returned function ends it. */
export function watchShims(board: Board): () => void {
  return board.whileWatched(() => {
    const look = (): void => {
      for (const { pid } of board.state.shims) if (!runs(pid)) board.emit({ type: 'shimGone', pid });
    };
    look();
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  });
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is one that runs.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
