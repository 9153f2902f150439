// `kt status`: every session of this user on this laptop, asked over their local sockets. Exit code 1 where there is none.
import { lookForSessions } from '../../session/control-client.ts';
import { loginText } from '../../session/login-words.ts';
import type { HeldService } from '../../session/state.ts';
import type { Arguments } from '../arguments.ts';
import { outputOf } from '../output.ts';

export async function status(args: Arguments): Promise<number> {
  const output = outputOf(args);
  const { found, silent } = await lookForSessions();
  const sessions = found.map((one) => one.status);
  const lines = sessions.flatMap((one) => {
    const agent = one.agent ? `agent ${one.agent}` : (one.mode ?? 'opening');
    const link = one.link === 'down' ? `link DOWN: ${one.linkReason ?? ''}` : `link ${one.link}`;
    const forwards = (one.forwards ?? [])
      .map(({ local, remote, protocol }) => `${local} → ${remote}${protocol === 'UDP' ? ' (UDP)' : ''}`)
      .join(', ');
    const place = `${one.namespace ?? '?'} (${one.context ?? '?'})`;
    const held = (one.holds ?? []).map(holdLine);
    // `kt exchange` in a terminal of its own: no proxy, no link of its own.
    if (one.mode === null && held.length > 0) return [`${place}  pid ${one.pid}`, ...held];
    const login = one.login ? ` (${loginText(one.login)})` : '';
    const listens =
      one.proxy === null && forwards !== '' ? forwards : `proxy ${one.proxy ?? '?'}${login}  dns ${one.dns ?? '?'}`;
    const also = one.proxy !== null && forwards !== '' ? [`  forwards ${forwards}`] : [];
    return [`${place}  ${listens}  ${agent}  ${link}  pid ${one.pid}`, ...also, ...held];
  });
  lines.push(...silent.map((path) => `a session does not answer: was it stopped with Ctrl-Z? (${path})`));
  output.result(sessions, lines.length === 0 ? ['no session; start one with: kt connect'] : lines);
  return sessions.length === 0 ? 1 : 0;
}

function holdLine({ service, kind, mark, ports, link, linkReason, evictedBy, kept }: HeldService): string {
  const to = ports.map(({ port, local, protocol }) => `${port} → :${local}${protocol === 'UDP' ? ' (UDP)' : ''}`);
  const state =
    evictedBy === null
      ? link === 'up'
        ? 'to this laptop'
        : `link DOWN: ${linkReason ?? ''}; the original pods answer`
      : `taken over by ${evictedBy}`;
  const stays = kept.map(({ caller, connections }) => `${caller} keeps ${connections}`).join(', ');
  const pods = stays === '' ? '' : `; connections to the original pods: ${stays}`;
  return `  ${kind} ${service}  ${mark === null ? '' : `${mark}  `}${to.join(', ')}  ${state}${pods}`;
}
