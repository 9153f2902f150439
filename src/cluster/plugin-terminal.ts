// Who has the terminal of this process. At first a credentials plugin may ask on it and write to it; while a screen or the program of `kt run` has it, a
// plugin that runs again gets no input, and its lines go to who took it. One per process, as the terminal is. Taken by cli/screen.ts and modes/run.ts,
// asked by exec-plugin.ts.

/** A line that a plugin wrote to standard error. */
export type PluginLine = (line: string) => void;

const takers: PluginLine[] = [];

/** Until the returned function is called. Who took it last has it. */
export function takeTerminal(onLine: PluginLine): () => void {
  takers.push(onLine);
  return () => {
    const at = takers.indexOf(onLine);
    if (at >= 0) takers.splice(at, 1);
  };
}

/** Where a plugin's lines go; undefined: the terminal is free. */
export const terminalTaker = (): PluginLine | undefined => takers.at(-1);
