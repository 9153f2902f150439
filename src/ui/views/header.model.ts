// The top of the screen: am I connected (the hops), and whose traffic am I holding (one sentence). Pure.
// In trouble the sentence says what is wrong, what kt does about it and who is served by whom meanwhile.
import type { ScreenData } from '../data.ts';
import { ends, type Line, line, type Span, span } from '../text/line.ts';
import { bytes, span as lasting, ms, sparkline } from '../text/units.ts';

type Hop = 'up' | 'down' | 'opening';

/** `laptop ━━ 3 ms ━━ API ━━ 1 ms ━━ agent ●`. */
function hops(data: ScreenData, width: number): Line {
  const { state } = data;
  const { pulse } = state;
  const api: Hop = data.apiDownAt !== null ? 'down' : state.phase === 'opening' && pulse === null ? 'opening' : 'up';
  const agent = agentHop(data);
  const apiMs = pulse?.apiMs ?? null;
  // The whole way minus the way to the API server. Its answer took some time too, so the rest may look like nothing.
  const whole = pulse?.agentMs ?? null;
  const rest = whole === null || apiMs === null ? null : Math.max(0, whole - apiMs);
  const last = state.mode === 'agentless' ? 'pods' : 'agent';
  const ends_ = width < 100 ? '━' : '━━';
  const trend = width >= 100 ? [span(` ${sparkline(data.roundTrips, 12, 40)}`, 'dim')] : [];
  return line(
    span('laptop ', 'dim'),
    ...hop(api, apiMs, ends_),
    span(' API ', api === 'down' ? 'bad' : 'dim'),
    ...hop(agent, rest, ends_),
    span(` ${last} `, agent === 'down' ? 'bad' : 'dim'),
    agent === 'down' ? span('✕', 'bad') : agent === 'opening' ? span('◐', 'warn') : span('●', 'good'),
    ...trend,
  );
}

function agentHop({ state, linkDownAt }: ScreenData): Hop {
  if (linkDownAt !== null || state.link === 'down') return 'down';
  if (state.mode === null && state.holds.length > 0)
    return state.holds.some(({ link }) => link === 'down') ? 'down' : 'up';
  return state.phase === 'opening' ? 'opening' : 'up';
}

function hop(state: Hop, value: number | null, rule: string): Span[] {
  if (state === 'down') return [span('╌╌ down ╌╌', 'bad')];
  if (state === 'opening') return [span('╌╌╌', 'warn')];
  if (value === null) return [span(rule + rule, 'good')];
  return [span(rule, 'good'), span(` ${ms(value)} `), span(rule, 'good')];
}

/** `↓ 1.2 MB/s ▂▃▅▇ ↑ 84 kB/s ▁▁▂▁`. */
function throughput({ state, received, sent }: ScreenData, width: number): Line {
  if (state.pulse === null) return [];
  const bars = width < 70 ? 0 : width < 120 ? 8 : 24;
  const part = (arrow: string, now: number, history: readonly number[]): Span[] => [
    span(`${arrow} `, 'dim'),
    span(`${bytes(now)}/s`.padStart(8)),
    span(bars === 0 ? '' : ` ${sparkline(history, bars, 1_000)}`, 'accent'),
  ];
  return line(...part('↓', state.pulse.received, received), span('  '), ...part('↑', state.pulse.sent, sent));
}

/** What is wrong, in one sentence; undefined: nothing. */
export function troubleOf(data: ScreenData): string | undefined {
  const { state, now } = data;
  const away = state.holds.filter(({ kind, evictedBy }) => kind !== 'preview' && evictedBy === null);
  // Who is served by whom first: on a narrow terminal the end is cut off.
  const served = (names: readonly string[]): string =>
    names.length === 0 ? '' : `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} served by the original pods, `;
  const names = away.map(({ service }) => service);
  if (state.phase === 'ended') return 'the session has ended';
  if (data.linkDownAt !== null)
    return `link down for ${lasting(data.linkDownAt, now)}: ${served(names)}new connections wait, kt tries again every second`;
  if (data.apiDownAt !== null)
    return `API server does not answer for ${lasting(data.apiDownAt, now)}: what is open goes on while the link lives`;
  const down = away.filter(({ link }) => link === 'down').map(({ service }) => service);
  if (down.length > 0) return `link to the agent down: ${served(down)}kt tries again every second`;
  const evicted = state.holds.find(({ evictedBy }) => evictedBy !== null);
  if (evicted) return `${evicted.evictedBy ?? ''} took ${evicted.service} over: its requests do not come here any more`;
  return undefined;
}

/** Whose traffic comes here. */
function holding(data: ScreenData): Line {
  const trouble = troubleOf(data);
  if (trouble !== undefined) return line(span('✕ ', 'bad'), span(trouble, 'bad'));
  const { state, steps, now } = data;
  const [step] = steps;
  if (state.phase === 'opening' && step && state.holds.length === 0)
    return line(
      span('◐ ', 'warn'),
      `${step.text}${step.waiting === null ? '' : `: ${step.waiting}`}`,
      span(`  ${lasting(step.at, now)}`, 'dim'),
    );
  if (state.holds.length === 0)
    return state.mode === 'agentless'
      ? line(span('○ ', 'dim'), span('connected without an agent; nothing is taken over', 'dim'))
      : line(span('○ ', 'dim'), span('connected; you hold no traffic', 'dim'));
  return line(
    span('● ', 'good'),
    'you hold ',
    ...state.holds.flatMap(({ service, mark, ports }, at) => [
      span(at === 0 ? '' : ', ', 'dim'),
      span(service, 'strong'),
      span(mark === null ? '' : ` ${mark}`, 'accent'),
      span(` → ${ports.map(({ local }) => `:${local}`).join(' ')}`, 'dim'),
    ]),
  );
}

/** Two lines. */
export function headerLines(data: ScreenData, width: number): Line[] {
  const { state, now } = data;
  const since = state.since === null ? '' : lasting(Date.parse(state.since), now);
  const who = state.user === null ? '' : `${state.user}@${state.host ?? '?'} as ${state.as ?? '?'}`;
  const place = line(
    span(' kt ', 'picked'),
    span(` ${state.namespace ?? '…'}`, 'strong'),
    span(state.context === null ? '' : ` · ${state.context}`, 'dim'),
    span(width < 110 || who === '' ? '' : `  ${who}  ${since}`, 'dim'),
  );
  return [
    ends(place, line(...hops(data, width), ' '), width),
    // In trouble the sentence has the whole line.
    ends(
      line(' ', ...holding(data)),
      troubleOf(data) === undefined ? line(...throughput(data, width), ' ') : [],
      width,
    ),
  ];
}

/** For the right end of the tabs. */
export function whoLine({ state, now }: ScreenData): Line {
  if (state.user === null) return [];
  const since = state.since === null ? '' : `  ${lasting(Date.parse(state.since), now)}`;
  return line(span(`${state.user}@${state.host ?? '?'} as ${state.as ?? '?'}${since}`, 'dim'));
}
