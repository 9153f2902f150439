// One Service in full: ports, who holds it since when, how to reach it. Pure. Beside the list on wide terminals, over it on narrow ones.
import { curlLine } from '../../session/login-words.ts';
import type { ScreenData } from '../data.ts';
import { EMPTY, type Line, line, span } from '../text/line.ts';
import { span as lasting } from '../text/units.ts';
import { wrap } from '../text/width.ts';
import { isMe, type ServiceRow } from './services.model.ts';

export function serviceDetail({ line: one, held }: ServiceRow, { state, now }: ScreenData, width: number): Line[] {
  const { name, type, ports, ready, originReady, by, notes } = one;
  const host = `${name}.${state.namespace ?? ''}`;
  const url = ports[0] ? `http://${name}${ports[0].port === 80 ? '' : `:${ports[0].port}`}` : name;
  const fact = (label: string, text: string): Line => line(span(label.padEnd(10), 'dim'), text);
  const since = (iso: string | null): string => (iso === null ? '' : `for ${lasting(Date.parse(iso), now)}`);
  return [
    line(span(name, 'strong'), span(`  ${type}`, 'dim')),
    EMPTY,
    ...ports.map(({ port, name: portName, protocol, targetPort }, at) =>
      fact(
        at === 0 ? 'ports' : '',
        `${port} → ${targetPort}${portName === null ? '' : `  ${portName}`}${protocol === 'TCP' ? '' : `  ${protocol}`}`,
      ),
    ),
    fact(
      'ready',
      ready === null
        ? 'not known'
        : originReady === null
          ? `${ready} ${ready === 1 ? 'endpoint' : 'endpoints'}`
          : `${originReady} original endpoints, the agent in front`,
    ),
    ...(held
      ? [
          fact('you', `${held.kind} ${since(held.since)}`),
          ...held.ports.map(({ port, local, protocol }) =>
            fact('', `${port} → localhost:${local}${protocol === 'UDP' ? ' (UDP)' : ''}`),
          ),
          ...(held.mark === null ? [] : [line(span(''.padEnd(10)), span(held.mark, 'accent'))]),
          fact(
            '',
            held.link === 'up'
              ? `${Math.round(state.pulse?.inbound[name] ?? 0)} requests/s come here`
              : `link down: ${held.linkReason ?? ''}`,
          ),
          ...held.kept.map(({ caller, connections }, at) =>
            line(
              span((at === 0 ? 'not here' : '').padEnd(10), 'warn'),
              `${caller} keeps ${connections === 1 ? '1 connection' : `${connections} connections`} to the original pods`,
            ),
          ),
        ]
      : []),
    ...by
      .filter((user) => !held || !isMe(state, user))
      .map((user, at) =>
        line(
          span((at === 0 ? 'held by' : '').padEnd(10), 'dim'),
          `${user.user}${user.host === null ? '' : `@${user.host}`} ${since(user.since)}`,
          span(user.mark === null ? '' : `  ${user.mark}`, 'accent'),
          span(user.live === false ? '  laptop not there: the original pods answer' : '', 'warn'),
          span(user.tool === 'kt-connect' ? '  by kt-connect' : '', 'dim'),
        ),
      ),
    ...notes.flatMap((note) =>
      wrap(note, width - 12).map((text, at) => line(span(at === 0 ? '!         ' : '          ', 'warn'), text)),
    ),
    EMPTY,
    fact('program', `kt run -- …   then   ${url}`),
    ...(state.proxy === null ? [] : [fact('curl', curlLine(state.proxy, state.login, url))]),
    fact('name', `${host}.svc`),
  ];
}
