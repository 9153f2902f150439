// `kt ui`: the screen for a session that runs, in a process that does nothing else: it attaches over the local socket and ends without ending
// the session. `kt connect`, `exchange`, `mesh` and `preview` start it with --session and --owner, and end with it; typed by hand, it starts
// itself again as they do (cli/screen.ts). The screen is loaded here only.
import { writeFileSync } from 'node:fs';
import { KtError } from '../../errors.ts';
import { attach } from '../../session/attach.ts';
import { findSessions, type SessionStatus } from '../../session/control-client.ts';
import { controlPath } from '../../session/control-paths.ts';
import type { SessionPort } from '../../session/port.ts';
import { curlOf } from '../../session/traffic/curl.ts';
import { harOf } from '../../session/traffic/har.ts';
import { trafficOf } from '../../session/traffic/remote.ts';
import { type Arguments, text } from '../arguments.ts';
import { outputOf } from '../output.ts';
import { canDraw, isScreen, SCREEN_LEFT, screenFor } from '../screen.ts';
import { plainLines } from '../view/plain.ts';

export async function ui(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  try {
    if (!canDraw())
      throw new KtError('USAGE', 'the screen needs a terminal', {
        hint: '`kt status` shows sessions; `kt connect --output json` tells every event',
      });
    const session = text(args, 'session') ?? (await sessionOf(args));
    if (!isScreen()) return await screenFor(session);
    const path = controlPath(session);
    // Together: the session may be waiting for its first view.
    const [first, { showScreen }] = await Promise.all([attach(path), import('../../ui/show.tsx')]);
    const owner = args['owner'] === true;
    let port: SessionPort | undefined = first;
    let reason = '';
    while (port) {
      reason = await showScreen({
        port,
        owner,
        describe: (event) => plainLines(event, false),
        tools: { traffic: trafficOf(port), curl: curlOf, har: (details) => harOf(details, version), save },
      });
      port.close();
      // A screen that was too slow for what happens is let go by its session, and begins anew.
      port = reason === 'left' || port.state.phase === 'ended' ? undefined : await attach(path).catch(() => undefined);
    }
    if (reason !== 'left' && !owner) process.stderr.write(`${reason}\n`);
    return SCREEN_LEFT;
  } catch (error) {
    return output.failure(error);
  }
}

/** In the folder that kt was started in; readable by its owner only, as headers may say more than their names. Gives the path. */
function save(text: string): string {
  const name = `kt-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}.har`;
  writeFileSync(name, text, { mode: 0o600, flag: 'wx' });
  return name;
}

async function sessionOf(args: Arguments): Promise<string> {
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
  if (found) return found.status.session;
  throw new KtError('SESSION_NONE', 'no session to show', {
    hint: all.length > 0 ? '`kt status` shows those that run' : 'start one with `kt connect`, or just `kt`',
  });
}

const rank = ({ joinable, since }: SessionStatus): string => `${joinable === false ? 0 : 1} ${since ?? ''}`;
