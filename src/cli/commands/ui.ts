// `kt ui`: the screen for a session that runs, in this process alone: it attaches over the local socket and ends without ending the session.
// `kt connect`, `exchange`, `mesh` and `preview` start it with --session and --owner, and end with it. The screen is loaded here only.
import { KtError } from '../../errors.ts';
import { attach } from '../../session/attach.ts';
import { findSession, findSessions } from '../../session/control-client.ts';
import { controlPath } from '../../session/control-paths.ts';
import { SCREEN_LEFT, wantsScreen } from '../screen.ts';
import { type Arguments, text } from '../options.ts';
import { outputOf } from '../output.ts';
import { plainLines } from '../view/plain.ts';

export async function ui(args: Arguments): Promise<number> {
  const output = outputOf(args);
  try {
    if (!wantsScreen(args))
      throw new KtError('USAGE', 'the screen needs a terminal', {
        hint: '`kt status` shows sessions; `kt connect --output json` tells every event',
      });
    const port = await attach(await pathOf(args));
    const { showScreen } = await import('../../ui/show.tsx');
    const owner = args['owner'] === true;
    const reason = await showScreen({
      port,
      owner,
      describe: (event) => plainLines(event, false),
      tools: { traffic: undefined, curl: () => undefined, har: () => '', save: () => '' },
    });
    port.close();
    if (reason !== 'left' && !owner) process.stderr.write(`${reason}\n`);
    return SCREEN_LEFT;
  } catch (error) {
    return output.failure(error);
  }
}

async function pathOf(args: Arguments): Promise<string> {
  const session = text(args, 'session');
  if (session !== undefined) return controlPath(session);
  const wanted = { namespace: text(args, 'namespace'), context: text(args, 'context') };
  const found = await findSession(wanted, true);
  if (found) return found.path;
  throw new KtError('SESSION_NONE', 'no session to show', {
    hint: (await findSessions()).length > 0 ? '`kt status` shows those that run' : 'start one with `kt connect`, or just `kt`',
  });
}
