// Shows the screen for a session until the user leaves it or the session ends. The entry of the bundle dist/ui.mjs, which nothing loads
// but `kt ui`: Ink and React are not on the way of any other command. Called by cli/commands/ui.ts, which gives it all that is not
// drawing.
import { writeSync } from 'node:fs';
import { render } from 'ink';
import type { SessionPort } from '../session/port.ts';
import { Loop, type ScreenTools } from './loop.ts';
import { Screen } from './screen.tsx';
import { type Describe, Store } from './store.ts';
import { themeOf, themeSettings } from './theme.ts';

export interface ScreenOptions {
  readonly port: SessionPort;
  readonly describe: Describe;
  readonly tools: Omit<ScreenTools, 'copy'>;
  /** The session was opened with this screen and ends with it. */
  readonly owner: boolean;
}

/** Resolves with why it went: `left` where the user left it, else the session's own reason. */
export async function showScreen({ port, describe, tools, owner }: ScreenOptions): Promise<string> {
  const { stdout, env } = process;
  // Node takes empty variables for set ones; the theme looks for itself, and who opens a screen in CI wants to see it.
  const { NO_COLOR: _, CI: __, ...rest } = env;
  const theme = themeOf(themeSettings(env, stdout.getColorDepth(rest), process.platform));
  const store = new Store(port, describe);
  const loop = new Loop(
    port,
    store,
    // OSC 52: the terminal's own clipboard, also over ssh. Those that may not, ignore it.
    { ...tools, copy: (text) => writeSync(stdout.fd, `\u001b]52;c;${Buffer.from(text).toString('base64')}\u0007`) },
    { owner, width: stdout.columns, height: stdout.rows },
  );
  const unmeter = meterWrites((ms) => {
    loop.writeMs = ms;
  });
  const app = render(<Screen loop={loop} theme={theme} />, {
    exitOnCtrlC: false,
    patchConsole: false,
    alternateScreen: true,
    // Decided already (cli/screen.ts); Ink would also look for signs of CI.
    interactive: true,
    incrementalRendering: true,
    maxFps: 30,
  });
  try {
    return await Promise.race([loop.left.then(() => 'left' as const), port.closed]);
  } finally {
    loop.close();
    store.close();
    app.unmount();
    unmeter();
  }
}

/** How long a write takes: on Unix it waits for the terminal, and a slow line shows in it. */
function meterWrites(tell: (ms: number) => void): () => void {
  const { stdout } = process;
  const write = stdout.write.bind(stdout);
  stdout.write = ((...args: Parameters<typeof write>) => {
    const started = performance.now();
    const taken = write(...args);
    tell(performance.now() - started);
    return taken;
  }) as typeof stdout.write;
  return () => {
    stdout.write = write;
  };
}
