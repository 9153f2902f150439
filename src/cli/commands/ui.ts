// `kt ui`: the screen for a session that runs, in this process alone: it attaches over the local socket and ends without ending the session.
// `kt connect`, `exchange`, `mesh` and `preview` start it with --session and --owner, and end with it. The screen is loaded here only.
import { KtError } from '../../errors.ts';
import { attach } from '../../session/attach.ts';
import { findSessions, type SessionStatus } from '../../session/control-client.ts';
import { controlPath } from '../../session/control-paths.ts';
import { type Arguments, text } from '../options.ts';
import { outputOf } from '../output.ts';
import { SCREEN_LEFT, wantsScreen } from '../screen.ts';
import { plainLines } from '../view/plain.ts';

export async function ui(args: Arguments): Promise<number> {
  const output = outputOf(args);
  try {
    if (!wantsScreen(args))
      throw new KtError('USAGE', 'the screen needs a terminal', {
        hint: '`kt status` shows sessions; `kt connect --output json` tells every event',
      });
    // Together: the session may be waiting for its first view.
    const [port, { showScreen }] = await Promise.all([attach(await pathOf(args)), import('../../ui/show.tsx')]);
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
  const [namespace, context] = [text(args, 'namespace'), text(args, 'context')];
  const all = await findSessions();
  // Of several the one that connects, and of those the latest: to look changes nothing, and the header says which it is.
  const [found] = all
    .filter(
      ({ status }) =>
        (namespace === undefined || status.namespace === namespace) &&
        (context === undefined || status.context === context),
    )
    .toSorted((one, other) => rank(other.status).localeCompare(rank(one.status)));
  if (found) return found.path;
  throw new KtError('SESSION_NONE', 'no session to show', {
    hint: all.length > 0 ? '`kt status` shows those that run' : 'start one with `kt connect`, or just `kt`',
  });
}

const rank = ({ joinable, since }: SessionStatus): string => `${joinable === false ? 0 : 1} ${since ?? ''}`;
