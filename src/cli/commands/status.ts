// `kt status`: every session of this user on this laptop, asked over their local sockets. Exit code 1 where there is none.
import { findSessions } from '../../session/control-client.ts';
import type { Arguments } from '../options.ts';
import { outputOf } from '../output.ts';

export async function status(args: Arguments): Promise<number> {
  const output = outputOf(args);
  const sessions = (await findSessions()).map((one) => one.status);
  const lines = sessions.map((one) => {
    const agent = one.agent ? `agent ${one.agent}` : (one.mode ?? 'opening');
    const link = one.link === 'down' ? `link DOWN: ${one.linkReason ?? ''}` : `link ${one.link}`;
    const forwards = (one.forwards ?? [])
      .map(({ local, remote, protocol }) => `${local} → ${remote}${protocol === 'UDP' ? ' (UDP)' : ''}`)
      .join(', ');
    const listens = forwards === '' ? `proxy ${one.proxy ?? '?'}  dns ${one.dns ?? '?'}` : forwards;
    return `${one.namespace ?? '?'} (${one.context ?? '?'})  ${listens}  ${agent}  ${link}  pid ${one.pid}`;
  });
  output.result(sessions, sessions.length === 0 ? ['no session; start one with: kt connect'] : lines);
  return sessions.length === 0 ? 1 : 0;
}
