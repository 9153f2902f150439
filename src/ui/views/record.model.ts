// One request or connection in full: where it came from and why here, its messages with secrets masked, how the time went, and what a
// replay answered. Pure. Beside the list on wide terminals, in its place on narrow ones.
import type { MessageDetail, Replayed, TrafficRecord } from '../../session/traffic/types.ts';
import type { RecordView } from '../machine/ui.ts';
import { EMPTY, fitLine, type Line, line, type Span, span } from '../text/line.ts';
import { bytes, clock, ms } from '../text/units.ts';
import { wrap } from '../text/width.ts';
import { statusCell } from './traffic.model.ts';

/** Lines of a body that are shown; what is kept is a KiB. */
const BODY_LINES_MAX = 40;

const fact = (label: string, ...parts: readonly (Span | string)[]): Line =>
  line(span(label.padEnd(9), 'dim'), ...parts);

export function recordLines(record: TrafficRecord, view: RecordView, width: number): Line[] {
  const { detail, replayed, problem } = view;
  return [
    ...headOf(record, width),
    ...(problem === null
      ? []
      : [
          EMPTY,
          line(span('✕ ', 'bad'), span(problem.message, 'bad')),
          ...(problem.hint === null ? [] : [line(span(`  ${problem.hint}`))]),
        ]),
    ...(replayed === null
      ? []
      : replayed === 'asking'
        ? [EMPTY, line(span('◐ replaying…', 'warn'))]
        : replayLines(replayed, width)),
    ...(record.direction === 'out'
      ? []
      : detail === null
        ? [EMPTY, line(span('its messages are not known: not HTTP, not seen yet, or let go for later ones', 'dim'))]
        : [...messageLines('request', detail.request, width), ...messageLines('response', detail.response, width)]),
  ];
}

function headOf(record: TrafficRecord, width: number): Line[] {
  const common = [
    fact('began', clock(record.time), span(`  ${ms(record.ms)}`, 'dim')),
    fact('bytes', `${bytes(record.received)} in, ${bytes(record.sent)} out`),
    ...(record.error === null
      ? []
      : wrap(record.error, width - 9).map((text, at) => fact(at === 0 ? 'error' : '', span(text, 'bad')))),
  ];
  if (record.direction === 'out') {
    const { by, host, port, via, reason, openedMs } = record;
    return [
      line(span(`${host}:${port}`, 'strong'), '  ', statusCell(record)),
      EMPTY,
      fact('program', `${by.runtime ?? by.door}${by.pid === undefined ? '' : `, pid ${by.pid}`}`),
      fact('route', `${via}, ${reason}`),
      ...(openedMs === null ? [] : [fact('connect', ms(openedMs))]),
      ...common,
    ];
  }
  const { method, path, service, caller, local, rule, reason, protocol } = record;
  return [
    line(
      span(`${method ?? protocol.toUpperCase()} `, 'strong'),
      span(path ?? service, 'strong'),
      '  ',
      statusCell(record),
    ),
    EMPTY,
    fact('from', caller, span(`  ${protocol}`, 'dim')),
    fact('to', `${service} → localhost:${local}`),
    ...wrap(reason, width - 9).map((text, at) => fact(at === 0 ? 'rule' : '', text)),
    fact('', span(rule, 'dim')),
    ...timing(record.answerMs, record.ms, width),
    ...common,
  ];
}

/** `waiting ━━━━━━━━──── body`: how much of the time went until the answer began. */
function timing(answerMs: number | null, total: number, width: number): Line[] {
  if (answerMs === null) return [];
  const columns = Math.max(10, Math.min(40, width - 48));
  const first = Math.max(1, Math.min(columns, Math.round((answerMs / Math.max(total, answerMs, 1)) * columns)));
  return [
    fact(
      'time',
      span('━'.repeat(first), 'accent'),
      span('─'.repeat(columns - first), 'dim'),
      `  ${ms(answerMs)} to the answer, ${ms(Math.max(0, total - answerMs))} for its body`,
    ),
  ];
}

function messageLines(title: string, message: MessageDetail | null, width: number): Line[] {
  if (message === null) return [EMPTY, line(span(`no ${title} was seen`, 'dim'))];
  const masked = new Set(message.masked.map((name) => name.toLowerCase()));
  return [
    EMPTY,
    line(span(message.line, 'accent')),
    ...message.headers.map(([name, value]) =>
      line(span(`${name}: `, 'dim'), span(value, masked.has(name.toLowerCase()) ? 'warn' : 'plain')),
    ),
    ...bodyLines(message, width),
  ];
}

function bodyLines({ body }: MessageDetail, width: number): Line[] {
  if (body.bytes === 0) return [];
  const more =
    body.bytes > body.kept ? `, the first ${bytes(body.kept)} of ${bytes(body.bytes)}` : `, ${bytes(body.bytes)}`;
  const about = line(span(`${body.type || 'no type'}${body.encoding === 'base64' ? ', not text' : ''}${more}`, 'dim'));
  if (body.encoding === 'base64') return [EMPTY, about];
  return [
    EMPTY,
    about,
    ...wrap(pretty(body.text, body.type), width)
      .slice(0, BODY_LINES_MAX)
      .map((text) => line(text)),
  ];
}

function pretty(text: string, type: string): string {
  if (!/json/i.test(type)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // Only its beginning was kept.
    return text;
  }
}

/** Both answers, side by side where there is room. */
function replayLines({ before, after }: Replayed, width: number): Line[] {
  const half = Math.floor((width - 3) / 2);
  const column = (title: string, message: MessageDetail | null, time: number, columns: number): Line[] => [
    line(span(`${title}  `, 'strong'), span(ms(time), 'dim')),
    ...messageLines('answer', message, columns).slice(1),
  ];
  const left = column('before', before.response, before.ms, half);
  const right = column('replayed', after.response, after.ms, half);
  const same = before.status === after.status && before.response?.body.text === after.response.body.text;
  const verdict = same
    ? line(span('✓ ', 'good'), 'the same answer')
    : line(
        span('● ', 'warn'),
        before.status === after.status
          ? 'the status is the same, the answer is not'
          : `status ${before.status ?? '?'} before, ${after.status} now`,
      );
  if (width < 70) return [EMPTY, verdict, EMPTY, ...left, EMPTY, ...right];
  const height = Math.max(left.length, right.length);
  return [
    EMPTY,
    verdict,
    ...Array.from({ length: height }, (_, at) => [
      ...fitLine(left[at] ?? EMPTY, half),
      span(' │ ', 'dim'),
      ...(right[at] ?? EMPTY),
    ]),
  ];
}
